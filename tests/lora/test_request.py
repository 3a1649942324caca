from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.lora.adapters import lora, low_rank, model, velocity, weights, write
from tests.transformer.models import noise
from wancore.errors import CheckpointError, InvalidInput
from wancore.lora import LoraSpec
from wancore.lora.request import RequestLoras, located
from wancore.lora.runtime import Target
from wancore.sampling.hooks import Step


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "loras").mkdir()
    return write(tmp_path / "loras" / "a.safetensors", low_rank(model(), rank=2))


def step(index: int) -> Step:
    return Step(index, 4, 1.0, 0.5, 1000.0, torch.zeros(1))


def test_names_are_found_below_the_models_folder(file: Path, tmp_path: Path) -> None:
    (found,) = located([LoraSpec(name="a", strength=2)], tmp_path)
    assert found.path == file and found.spec.strength == (2.0,)
    with pytest.raises(InvalidInput, match="lora"):
        located([LoraSpec(name="b")], tmp_path)


def test_each_expert_has_its_own_list(file: Path) -> None:
    experts = {"high": model(), "low": model()}
    targets = {name: Target(expert) for name, expert in experts.items()}
    before = {name: weights(expert) for name, expert in experts.items()}
    loras = [lora(file, expert="high", strength=(1.0, 0.5)), lora(file, expert="low", strength=3.0)]
    with RequestLoras(targets, loras) as applied:
        assert len(applied.applied["high"].loras) == len(applied.applied["low"].loras) == 1
        assert applied.scheduled
        text = applied.describe()
        assert "high expert: LoRA a.safetensors: strength 1, 0.5 by step" in text
        assert "low expert: LoRA a.safetensors: strength 3, low expert" in text
        velocity(experts["low"])
        applied.window_done()
        assert "high expert: LoRA: 20 built" in applied.report()
    for name, expert in experts.items():
        assert all(torch.equal(value, before[name][n]) for n, value in weights(expert).items())


def test_without_adapters_nothing_happens() -> None:
    base = model()
    with RequestLoras({"": Target(base)}, ()) as applied:
        assert not applied.set_step(3) and not applied.describe() and not applied.scheduled
    with RequestLoras({"": Target(base)}, ()):
        pass


def test_what_cannot_be_applied_to_the_second_expert_is_taken_off_the_first(file: Path) -> None:
    high, narrow = model(), model(num_layers=1)
    before = weights(high)
    with pytest.raises(CheckpointError, match="does not fit"):
        RequestLoras({"high": Target(high), "low": Target(narrow)}, [lora(file)])
    assert all(torch.equal(value, before[n]) for n, value in weights(high).items())
    with RequestLoras({"high": Target(high)}, [lora(file)]):
        pass


def test_the_loop_sets_the_strengths_of_each_step(file: Path) -> None:
    """And drops what was embedded with others, only when they changed."""
    base, drops = model(), []
    with RequestLoras({"": Target(base)}, [lora(file, strength=(1.0, 1.0, 0.0))]) as applied:
        hooks = applied.hooks(lambda: drops.append(1))
        x, draw = noise(2), noise
        for index, count in ((0, 0), (0, 0), (1, 0), (2, 1), (2, 1), (0, 2)):
            assert hooks.model_input(x, draw, step(index)) is x  # type: ignore[arg-type]
            assert len(drops) == count
