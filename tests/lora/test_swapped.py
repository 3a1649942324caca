"""Adapters on blocks whose weights wait in host memory: device memory starts as NaN, and so do slots."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.lora.adapters import LINEARS, lora, low_rank, model, velocity, write
from tests.runtime.swap.stages import CPU, Poisoned
from tests.transformer.models import noise, relative
from wancore.engine.units import swap_of
from wancore.lora.applied import AppliedLoras, Lora
from wancore.lora.choose import Mode
from wancore.lora.runtime import LoraOptions, Target, apply_loras
from wancore.runtime.swap import Swap
from wancore.transformer.fp8 import use_fp8
from wancore.transformer.model import WanTransformer

LAYERS = 4
SIZES = {"num_layers": LAYERS, "dim": 64, "ffn_dim": 128}
MODES: tuple[Mode, ...] = ("merged", "on-the-fly", "streaming")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("lora") / "pairs.safetensors", low_rank(model(**SIZES)))


@pytest.fixture(scope="module")
def dora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A change that depends on the weight itself."""
    base = model(**SIZES)
    tensors = low_rank(base)
    for i in range(LAYERS):
        for end in LINEARS:
            rows = len(base.get_submodule(f"blocks.{i}.{end}").weight)
            tensors[f"diffusion_model.blocks.{i}.{end}.dora_scale"] = noise(rows, 1, seed=i).abs() + 0.5
    return write(tmp_path_factory.mktemp("lora") / "dora.safetensors", tensors)


def swapped(base: WanTransformer, resident: int = 0) -> Swap:
    """Its blocks as units; strengths, which change from step to step, stay."""
    return swap_of(base, {}, CPU, resident, copies=Poisoned(), least=512, rare_resident=True)


def on(base: nn.Module, swap: Swap, adapter: Lora, mode: Mode) -> AppliedLoras:
    prefixes = tuple(f"blocks.{i}." for i in range(LAYERS))
    return apply_loras(Target(base, swapped=prefixes, editing=swap.editing), [adapter], LoraOptions(mode))


def quantised(fp8: bool) -> WanTransformer:
    base = model(**SIZES)
    if fp8:
        assert use_fp8(base, "cpu")
    return base


@pytest.mark.parametrize("fp8", [False, True])
@pytest.mark.parametrize("resident", [0, 1])
@pytest.mark.parametrize("mode", MODES)
def test_the_same_bits_as_with_weights_that_stay(mode: Mode, resident: int, fp8: bool, pairs: Path) -> None:
    base, plain, adapter = quantised(fp8), quantised(fp8), lora(pairs, strength=(1.0, -0.5, 0.0))
    before = velocity(base)
    swap = swapped(base, resident)
    swap.engage()
    with on(base, swap, adapter, mode) as applied, apply_loras(plain, [adapter], LoraOptions(mode)) as wanted:
        for step in (0, 1, 2, 1):
            applied.set_step(step)
            wanted.set_step(step)
            for _ in range(2):
                assert torch.equal(velocity(base), velocity(plain))
        assert swap.engaged and len([u for u in swap.swapped if not u.rare]) == LAYERS - resident
    assert torch.equal(velocity(base), before)
    swap.release()
    assert all(
        torch.equal(ours.view(torch.uint8), theirs.view(torch.uint8))
        for ours, theirs in zip(base.state_dict().values(), plain.state_dict().values(), strict=True)
    )


def test_a_difference_travels_with_its_weight(pairs: Path) -> None:
    """In the block's own copy: not one more than without adapters."""
    base = model(**SIZES)
    swap = swapped(base)
    swap.engage()
    velocity(base)
    velocity(base)
    copied, nbytes = swap.counts.copied, swap.counts.nbytes
    velocity(base)
    copied, nbytes = swap.counts.copied - copied, swap.counts.nbytes - nbytes
    always = [end for end in LINEARS if end not in ("cross_attn.k", "cross_attn.v")]  # those stay here
    linears = sum(base.get_submodule(f"blocks.0.{end}").weight.nbytes for end in always)
    with on(base, swap, lora(pairs), "streaming"):
        velocity(base)
        counts = swap.counts.copied, swap.counts.nbytes, swap.counts.waited
        velocity(base)
        assert swap.counts.copied - counts[0] == copied
        assert swap.counts.nbytes - counts[1] == nbytes + LAYERS * linears
        assert swap.counts.waited == counts[2]


def test_a_change_that_reads_the_weight_reads_its_own(dora: Path) -> None:
    """At every strength: whatever is in the slots when the differences are built."""
    base, plain, adapter = model(**SIZES), model(**SIZES), lora(dora, strength=(1.0, 0.5))
    swap = swapped(base)
    swap.engage()
    velocity(base)
    with (
        on(base, swap, adapter, "streaming") as applied,
        apply_loras(plain, [adapter], LoraOptions("merged")) as wanted,
    ):
        for step in (0, 1, 0):
            applied.set_step(step)
            wanted.set_step(step)
            assert relative(velocity(base), velocity(plain)) < 1e-5
