"""Adapters of a request, from their names to the frames."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.engine.tiny import Made, engine, small
from tests.lora.adapters import low_rank, write
from tests.transformer.models import noise
from wancore.checkpoints.layout import find_parts
from wancore.engine import Engine
from wancore.errors import CheckpointError, InvalidInput
from wancore.events import Loading, Note
from wancore.transformer.load import load_transformer


@pytest.fixture
def files(tiny: Callable[[str], Path], tmp_path: Path) -> dict[str, str]:
    """Adapters of block linears, and of text embedding and norms, too, for any of the tiny text models."""
    transformer = find_parts(tiny("t2v")).transformer
    assert transformer is not None
    base = load_transformer(transformer)
    pairs = low_rank(base, rank=4, scale=0.5)
    more = {
        "diffusion_model.text_embedding.2.diff": noise(*base.text_embedding[2].weight.shape) * 0.5,
        "diffusion_model.blocks.0.diff_m": noise(*base.blocks[0].modulation.shape),
    }
    return {
        "pairs": str(write(tmp_path / "pairs.safetensors", pairs)),
        "more": str(write(tmp_path / "more.safetensors", pairs | more)),
    }


def frames(runner: Engine, model: Path, *loras: object, **fields: object) -> np.ndarray:
    return Made.of(runner.generate(small(model, loras=list(loras), **fields))).frames


def test_on_for_one_request_and_off_for_the_next(tiny, files) -> None:
    runner, model = engine(), tiny("t2v")
    plain = frames(runner, model)
    adapted = frames(runner, model, {"name": files["more"], "strength": 0.8})
    assert not np.array_equal(adapted, plain)
    assert np.array_equal(frames(runner, model, {"name": files["more"], "strength": 0.8}), adapted)
    assert np.array_equal(frames(runner, model), plain)
    assert np.array_equal(frames(engine(), model, {"name": files["more"], "strength": 0.8}), adapted)
    assert np.array_equal(frames(runner, model, {"name": files["more"], "strength": 0}), plain)


def test_a_cancelled_request_leaves_nothing(tiny, files) -> None:
    runner, model = engine(), tiny("t2v")
    plain = frames(runner, model)
    events = runner.generate(small(model, loras=[{"name": files["more"], "strength": [1, 0.5]}]))
    for event in events:
        if isinstance(event, Note):
            break
    events.close()
    assert np.array_equal(frames(runner, model), plain)


@pytest.mark.parametrize("mode", ["merged", "streaming", "on-the-fly"])
def test_every_mode_makes_the_same_video(mode, tiny, files) -> None:
    model, lora = tiny("t2v"), {"name": files["more"], "strength": [1.0, 0.3, -0.5]}
    wanted = frames(engine(), model, lora).astype(int)
    assert np.abs(frames(engine(lora_mode=mode), model, lora) - wanted).max() <= 1


def test_text_is_embedded_again_when_a_strength_changes(tiny, files) -> None:
    """Text embedding and its keys are worked out once for a request: with whose strengths?"""
    model = tiny("t2v")
    steps = [frames(engine(), model, {"name": files["more"], "strength": s}) for s in ([1, 0, 0], [1, 1, 1])]
    zero = frames(engine(), model, {"name": files["more"], "strength": [0, 0, 0]})
    late = frames(engine(), model, {"name": files["more"], "strength": [0, 0, 1]})
    assert len({video.tobytes() for video in (*steps, zero, late)}) == 4


def test_each_expert_its_own(tiny, files) -> None:
    model = tiny("t2v-a14b")
    high, low = ({"name": files["pairs"], "expert": name} for name in ("high", "low"))
    videos = [frames(engine(), model, *use) for use in ((), (high,), (low,), (high, low))]
    assert len({video.tobytes() for video in videos}) == 4
    assert np.array_equal(frames(engine(), model, {"name": files["pairs"]}), videos[3])


def test_what_was_chosen_and_what_it_cost_is_said(tiny, files) -> None:
    runner = engine(lora_timing=True)
    events = list(runner.generate(small(tiny("t2v"), loras=[{"name": files["more"], "strength": [1, 0.5]}])))
    notes = [event.text for event in events if isinstance(event, Note)]
    assert len(notes) == 2 and Loading("LoRA") in events
    assert "on-the-fly (strengths change from step to step)" in notes[0]
    assert "LoRA seconds by window" in notes[1] and "hit rate" in notes[1]


def test_names_below_the_models_folder(tiny, files, tmp_path) -> None:
    (tmp_path / "models" / "loras" / "wan").mkdir(parents=True)
    target = tmp_path / "models" / "loras" / "wan" / "style.safetensors"
    target.write_bytes(Path(files["pairs"]).read_bytes())
    runner = engine(models=tmp_path / "models")
    found = frames(runner, tiny("t2v"), {"name": "wan\\style"})
    assert np.array_equal(found, frames(runner, tiny("t2v"), {"name": files["pairs"]}))


def test_mistakes_come_before_anything_is_loaded(tiny, files, tmp_path) -> None:
    with pytest.raises(InvalidInput, match="lora: got 'none'"):
        engine().plan(small(tiny("t2v"), loras=[{"name": "none"}]))
    with pytest.raises(InvalidInput, match=r"loras.*strength"):
        small(tiny("t2v"), loras=[{"name": "a", "strength": 1e9}])
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no tensors")
    with pytest.raises(CheckpointError, match="broken"):
        engine().plan(small(tiny("t2v"), loras=[{"name": str(broken)}]))
    with pytest.raises(InvalidInput, match="no experts"):
        frames(engine(), tiny("t2v"), {"name": files["pairs"], "expert": "high"})


def quantised_copy(model: Path, folder: Path) -> Path:
    """The same model with its block linears in fp8 with one scale each."""
    shutil.copytree(model, folder)
    path = find_parts(folder).require("transformer")
    file = path if path.is_file() else next(path.glob("*.safetensors"))
    tensors = {}
    for name, tensor in load_file(str(file)).items():
        if name.startswith("blocks.") and name.endswith(".weight") and tensor.ndim == 2:
            scale = tensor.abs().max() / 448
            tensors[name] = (tensor / scale).clamp(-448, 448).to(torch.float8_e4m3fn)
            tensors[name.removesuffix("weight") + "scale_weight"] = scale
        else:
            tensors[name] = tensor
    save_file(tensors, str(file))
    return folder


@pytest.mark.parametrize("place", ["file", "host", "device"])
def test_a_quantised_model_is_merged_from_its_master(place, tiny, files, tmp_path) -> None:
    fp8 = quantised_copy(tiny("t2v"), tmp_path / "fp8")
    lora = {"name": files["pairs"], "strength": 0.5}
    runner = engine(lora_master=(str(tiny("t2v")),), lora_originals=place)
    events = list(runner.generate(small(fp8, loras=[lora])))
    note = next(e.text for e in events if isinstance(e, Note))
    assert "quantised again from its master" in note
    other = frames(runner, fp8, {**lora, "strength": -0.5})
    assert not np.array_equal(other, Made.of(events).frames)
    assert np.array_equal(frames(runner, fp8, lora), Made.of(events).frames)
    assert np.array_equal(frames(runner, fp8), frames(engine(), fp8))


def test_a_wrong_master_is_refused(tiny, files, tmp_path) -> None:
    fp8 = quantised_copy(tiny("t2v"), tmp_path / "fp8")
    request = small(fp8, loras=[{"name": files["pairs"]}])
    with pytest.raises(CheckpointError, match="is no master of this model: it differs by"):
        list(engine(lora_master=(str(tiny("t2v-a14b") / "low_noise_model"),)).generate(request))
    with pytest.raises(CheckpointError, match="quantised itself"):
        engine(lora_master=(str(fp8),)).plan(request)
    with pytest.raises(InvalidInput, match="lora_master"):
        engine(lora_master=("a", "b")).plan(request)


def test_keys_that_fit_nothing_are_told_before_anything_is_loaded(tiny, tmp_path) -> None:
    wide = {f"blocks.77.self_attn.q.lora_{part}.weight": noise(4, 4) for part in ("A", "B")}
    file = write(tmp_path / "other.safetensors", wide)
    with pytest.raises(CheckpointError, match=r"2 keys of no module of it .*; 0 modules fit; with partial"):
        engine().plan(small(tiny("t2v"), loras=[{"name": str(file)}]))
    with pytest.raises(CheckpointError, match="changes nothing of this model"):
        engine().plan(small(tiny("t2v"), loras=[{"name": str(file), "partial": True}]))
    with pytest.raises(InvalidInput, match="no experts"):
        engine().plan(small(tiny("t2v"), loras=[{"name": str(file), "expert": "low"}]))
