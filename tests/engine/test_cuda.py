"""The whole way on a GPU, where there is one: every kind in float32 against the CPU, and in bfloat16."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.engine.test_kinds import KINDS
from tests.engine.tight import MB, Tight
from tests.engine.tiny import Made, small
from tests.lora.adapters import low_rank, write
from wancore.checkpoints.layout import find_parts
from wancore.engine import Engine
from wancore.runtime.settings import Settings
from wancore.transformer.graphs import Graph
from wancore.transformer.load import load_transformer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture(autouse=True)
def full_float32():
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


@pytest.mark.parametrize("kind", KINDS)
def test_float32_agrees_with_the_cpu(kind, tiny, image):
    inputs = {role: image(role, 64, 48) for role in KINDS[kind]}
    size = {"size": "64x64"} if kind == "ti2v" else {}
    request = small(tiny(kind), inputs=inputs, **size)
    frames = [
        Made.of(Engine(Settings(device=device, dtype="float32")).generate(request)).frames.astype(int)
        for device in ("cpu", "cuda")
    ]
    assert np.abs(frames[0] - frames[1]).max() <= 2


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_runs(kind, tiny, image):
    inputs = {role: image(role, 64, 48) for role in KINDS[kind]}
    size = {"size": "64x64"} if kind == "ti2v" else {}
    request = small(tiny(kind), inputs=inputs, previews=True, **size)
    made = Made.of(Engine(Settings(device="cuda")).generate(request))
    assert made.frames.shape[0] == 9 and made.frames.std() > 1


@pytest.fixture
def adapter(tmp_path):
    """Writes pairs for every block linear of a model's transformer."""

    def written(model):
        base = load_transformer(find_parts(model).transformer)
        return str(write(tmp_path / f"{model.name}.safetensors", low_rank(base, rank=4, scale=0.5)))

    return written


def frames_of(request, **settings):
    return Made.of(Engine(Settings(device="cuda", **settings)).generate(request)).frames.astype(int)


def test_weights_wait_in_host_memory_within_a_budget(tiny):
    request, exact = small(tiny("t2v")), Settings(device="cuda", dtype="float32")
    wanted, whole = with_all_on_the_device(request, exact)
    tight = Tight(whole / MB - 1, settings=exact)
    try:
        frames = Made.of(tight.generate(request)).frames.astype(int)
        assert np.abs(frames - wanted).max() <= 2
        (house,) = tight.kept.houses.values()
        assert house.swap.swapped
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def with_all_on_the_device(request, settings):
    """Frames, and the bytes that this took with all that is there beside the weights."""
    roomy = Tight(2000, settings=settings)
    frames = Made.of(roomy.generate(request)).frames.astype(int)
    whole = max(house.needs().resident for house in roomy.kept.houses.values())
    roomy.kept.houses.clear()
    roomy.unload()
    return frames, whole


@pytest.mark.parametrize("linears", ["stored", "fp8"])
def test_compiled_blocks(linears, tiny):
    request = small(tiny("t2v"))
    plain, compiled = (frames_of(request, linears=linears, compile=on) for on in (False, True))
    assert np.abs(plain - compiled).mean() < 2, "bfloat16, rounded at other places"


@pytest.mark.parametrize("mode", ["merged", "on-the-fly"])
@pytest.mark.parametrize("kind", ["t2v", "i2v", "t2v-a14b"])
def test_graphs_give_the_same_bits(kind, mode, tiny, image, adapter, monkeypatch):
    replays = []
    replay = Graph.replay
    monkeypatch.setattr(Graph, "replay", lambda graph, inputs: replays.append(1) or replay(graph, inputs))
    inputs = {role: image(role, 64, 48) for role in KINDS[kind]}
    lora = {"name": adapter(tiny(kind)), "strength": [1.0, 0.5, 0.0, -0.5]}
    for loras in ([], [lora]):
        request = small(tiny(kind), inputs=inputs, steps=8, loras=loras)
        plain, replayed = (frames_of(request, cuda_graphs=way, lora_mode=mode) for way in ("off", "auto"))
        assert np.array_equal(plain, replayed)
        assert bool(replays) == (not loras or mode == "merged")
        replays.clear()
