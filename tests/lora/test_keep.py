from __future__ import annotations

from pathlib import Path

import torch

from tests.lora.adapters import lora, low_rank, model, weights, write
from tests.transformer.models import noise
from wancore.lora.keep import LoraKeeper
from wancore.lora.runtime import LoraOptions, Target


def test_the_same_adapters_stay_and_others_replace_them(tmp_path: Path) -> None:
    base, keeper = model(), LoraKeeper()
    before = weights(base)
    one = lora(write(tmp_path / "one.safetensors", low_rank(base, seed=1)), strength=(1.0, 0.2))
    two = lora(write(tmp_path / "two.safetensors", low_rank(base, seed=2)))
    first = keeper.use({"": Target(base)}, [one])
    first.set_step(1)
    again = keeper.use({"": Target(base)}, [one])
    assert again is first and again.applied[""].set_step(0) is False, "at the strengths of the first step"
    second = keeper.use({"": Target(base)}, [two])
    assert second is not first and not first.applied
    assert keeper.use({"": Target(base)}, [lora(two.path, strength=0.5)]) is not second
    keeper.drop()
    assert all(torch.equal(value, before[n]) for n, value in weights(base).items())


def test_a_changed_file_another_model_or_other_options_are_not_the_same(tmp_path: Path) -> None:
    base, keeper = model(), LoraKeeper()
    path = tmp_path / "one.safetensors"
    write(path, low_rank(base, seed=1))
    held = [keeper.use({"": Target(base)}, [lora(path)])]
    write(path, low_rank(base, seed=2, rank=4))
    held.append(keeper.use({"": Target(base)}, [lora(path)]))
    held.append(keeper.use({"": Target(base)}, [lora(path)], LoraOptions("on-the-fly")))
    held.append(keeper.use({"": Target(model())}, [lora(path)], LoraOptions("on-the-fly")))
    assert len(set(map(id, held))) == 4
    assert not list(base.buffers()), "nothing is left on the first model"
    x = noise(3, 48)
    assert torch.equal(base.blocks[0].ffn[0](x), model().blocks[0].ffn[0](x))
