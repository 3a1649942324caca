"""A budget of memory, from the setting to the frames, on the CPU: weights wait in a second place in host
memory, and everything else is as on a GPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.engine.tight import MB, Tight, tightest
from tests.engine.tiny import Made, Remembering, engine, small
from tests.lora.adapters import low_rank, write
from wancore.checkpoints.layout import find_parts
from wancore.engine import Engine
from wancore.engine.residency import Residency
from wancore.errors import CheckpointError, InvalidInput, MemoryShortage
from wancore.events import Note
from wancore.runtime.budget import OVERHEAD
from wancore.runtime.settings import load_settings
from wancore.transformer.load import load_transformer


@pytest.fixture
def lora(tiny, tmp_path):
    """An adapter of every block linear."""
    transformer = find_parts(tiny("t2v")).transformer
    return str(write(tmp_path / "pairs.safetensors", low_rank(load_transformer(transformer), 4, scale=0.5)))


@pytest.fixture(scope="module")
def with_room():
    """An engine that all of a model fits into."""
    return Remembering(engine())


@pytest.fixture
def plain(tiny, with_room):
    return with_room.made(small(tiny("t2v"))).frames


@pytest.mark.parametrize("kind", ["t2v", "t2v-a14b"])
def test_the_same_frames_with_weights_in_host_memory(kind, tiny, with_room):
    model = tiny(kind)
    wanted = with_room.made(small(model)).frames
    tight = tightest(small(model))
    assert np.array_equal(Made.of(tight.generate(small(model))).frames, wanted)
    houses = list(tight.kept.houses.values())
    assert [house.swap.engaged for house in houses].count(True) == 1, "the other expert made way"
    assert len(houses) == 2 or houses[0].swap.swapped
    assert np.array_equal(Made.of(tight.generate(small(model))).frames, wanted)


def test_adapters_travel_with_their_blocks(tiny, lora):
    model = tiny("t2v")
    runner, tight = engine(), tightest(small(model))
    tight.kept.vram = f"{(OVERHEAD + 1.31 * tight.kept.budget().tensors) / MB}MB"
    for mode in ("on-the-fly", "merged", "streaming"):
        for strength in (0.8, [1.0, 0.5, 0.0]):
            request = small(model, loras=[{"name": lora, "strength": strength}])
            wanted = Made.of(with_mode(runner, mode).generate(request)).frames
            assert np.array_equal(Made.of(with_mode(tight, mode).generate(request)).frames, wanted), mode
            (house,) = tight.kept.houses.values()
            moving = {held.name for unit in house.swap.swapped for held in unit.held}
            assert moving and ("lora_difference" in moving) == (mode == "streaming")
    request = small(model)
    assert np.array_equal(Made.of(tight.generate(request)).frames, Made.of(runner.generate(request)).frames)


def with_mode(runner: Engine, mode: str) -> Engine:
    runner.settings = runner.settings.model_copy(update={"lora_mode": mode})
    return runner


def test_a_longer_clip_moves_weights_out_and_a_short_one_brings_them_back(tiny, with_room):
    model = tiny("t2v")
    short, long = small(model, frames=5), small(model, frames=17)
    roomy = Tight(100)
    list(roomy.generate(short))
    (house,) = roomy.kept.houses.values()
    tight = Tight(house.needs().resident * 1.001 / MB)
    residents = []
    for request in (short, long, short):
        assert np.array_equal(Made.of(tight.generate(request)).frames, with_room.made(request).frames)
        (house,) = tight.kept.houses.values()
        residents.append(house.plan.resident)
    assert residents[0] == residents[2] > residents[1]


def test_host_memory_is_looked_at(tiny, monkeypatch):
    tight = tightest(small(tiny("t2v")))
    monkeypatch.setattr("wancore.engine.residency.available_memory", lambda: 10_000)
    with pytest.raises(CheckpointError, match=r"of host memory beside the GPU's, 0\.0 GB are free"):
        list(tight.generate(small(tiny("t2v"))))


def test_a_cancelled_request_leaves_weights_that_the_next_can_use(tiny, plain):
    tight = tightest(small(tiny("t2v")))
    events = tight.generate(small(tiny("t2v")))
    for _ in range(4):
        next(events)
    events.close()
    assert np.array_equal(Made.of(tight.generate(small(tiny("t2v")))).frames, plain)


class RunsOut:
    """A forward hook that fails as the allocator does, so many times."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self, module, args) -> None:
        if self.left:
            self.left -= 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB. GPU 0 has …")


def failing(tight: Tight, model, times: int):
    """A request whose second forward finds too little memory."""
    events = tight.generate(small(model))
    seen = []
    for event in events:
        seen.append(event)
        if type(event).__name__ == "Progress" and event.step == 1:
            (house,) = tight.kept.houses.values()
            hook = RunsOut(times)
            house.model.blocks[1].cross_attn.register_forward_pre_hook(hook)
    return seen


def test_out_of_memory_is_tried_once_more_with_less_on_the_device(tiny, plain):
    tight = Tight(100)
    made = Made.of(failing(tight, tiny("t2v"), 1))
    assert np.array_equal(made.frames, plain)
    (note,) = [e.text for e in made.events if isinstance(e, Note)]
    assert note.startswith("GPU memory ran out; once more with memory: ")
    (house,) = tight.kept.houses.values()
    assert house.swap.swapped


def test_out_of_memory_twice_is_reported_with_what_would_fit(tiny):
    tight = Tight(100)
    with pytest.raises(MemoryShortage) as caught:
        failing(tight, tiny("t2v"), 2)
    assert caught.value.needed is not None and caught.value.free == tight.kept.budget().nbytes
    assert "GB of memory" in caught.value.would_fit
    assert caught.value.__context__ is None, "the failed forward's tensors would stay alive"


def test_frames_are_decoded_once_more_after_the_transformer_has_left(tiny, plain):
    tight = Tight(100)
    request = small(tiny("t2v"))
    vae = tight.models_for(tight.plan(request).parts).vae
    hook = RunsOut(0)
    vae.network.decoder.register_forward_pre_hook(hook)
    events, got = tight.generate(request), []
    for event in events:
        if type(event).__name__ == "Frames" and not got:
            hook.left = 1
        got += [event] if type(event).__name__ == "Frames" else []
    assert hook.left == 0
    assert np.array_equal(np.concatenate([e.frames for e in got]), plain)
    (house,) = tight.kept.houses.values()
    assert not house.swap.engaged and all(unit.in_master() for unit in house.swap.units)
    assert np.array_equal(Made.of(tight.generate(request)).frames, plain)


@pytest.mark.parametrize("megabytes", [1000, None])
def test_the_vae_keeps_to_what_is_left_and_the_transformer_leaves_if_that_is_too_little(
    tiny, plain, monkeypatch, megabytes
):
    """As on a GPU, where the user gave a number."""
    monkeypatch.setattr(Residency, "bounded", True)
    request = small(tiny("t2v"))
    tight = Tight(megabytes) if megabytes is not None else tightest(request)
    made = Made.of(tight.generate(request)).frames
    vae = tight.models_for(tight.plan(request).parts).vae
    assert vae.budget is not None and vae.budget <= tight.kept.budget().tensors
    (house,) = tight.kept.houses.values()
    assert made.shape == plain.shape
    if megabytes is not None:
        assert house.swap.engaged and np.array_equal(made, plain)
    else:
        assert not house.swap.engaged


def test_what_cannot_fit_is_refused_before_anything_is_read(tiny):
    tight = Tight(0.001)
    events = tight.generate(small(tiny("t2v")))
    next(events)
    with pytest.raises(MemoryShortage, match=r"GPU memory: .* are needed, .* may be used; what would fit: "):
        next(events)
    assert not tight.kept.houses


def test_the_setting():
    assert load_settings(vram="12GB").vram == "12GB"
    with pytest.raises(InvalidInput, match="vram: got 'lots'; accepted: an amount such as 16GB"):
        load_settings(vram="lots")


def test_what_is_in_host_memory_is_told_once(tiny):
    request = small(tiny("t2v"))
    tight = tightest(request)
    notes = [e.text for e in Made.of(tight.generate(request)).events if isinstance(e, Note)]
    assert len(notes) == 1 and "of 2 blocks in host memory" in notes[0]
    assert not [e for e in Made.of(tight.generate(request)).events if isinstance(e, Note)]
