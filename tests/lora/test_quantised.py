"""Adapters on quantised layers, in every weight format."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.lora.adapters import lora, low_rank, model, velocity, write
from tests.quant.formats import holding
from tests.transformer.models import noise, relative
from wancore.checkpoints.open import open_view
from wancore.lora.applied import AppliedLoras
from wancore.lora.originals import Originals
from wancore.lora.runtime import LoraOptions, Target, apply_loras
from wancore.quant.blockfloat import Mxfp8Weight, Nvfp4Weight
from wancore.quant.ggml import GgmlWeight
from wancore.quant.ggml_types import GGML_TYPES
from wancore.quant.linear import Linear
from wancore.quant.rotated import RotatedWeight
from wancore.quant.scaled import ScaledWeight
from wancore.quant.weight import QuantisationError, Weight
from wancore.transformer.model import WanTransformer

Maker = Callable[[Tensor], Weight]
SIZES = {"dim": 256, "ffn_dim": 256, "num_layers": 1}


def scaled(dtype: torch.dtype, scale: tuple[int, ...] | None) -> Maker:
    def make(master: Tensor) -> Weight:
        one = None if scale is None else torch.ones([len(master) if n < 0 else n for n in scale])
        return ScaledWeight(str(dtype), torch.zeros(master.shape).to(dtype), one).quantised(master)

    return make


def blocks(format: str) -> Maker:
    def make(master: Tensor) -> Weight:
        rows, columns = master.shape
        if format == "nvfp4":
            codes, scales = torch.zeros(rows, columns // 2), torch.zeros(rows, columns // 16)
            parts = (codes.to(torch.uint8), scales.to(torch.float8_e4m3fn), torch.ones(1))
            return Nvfp4Weight(format, (rows, columns), *parts).quantised(master)
        codes, scales = torch.zeros(rows, columns), torch.zeros(rows, columns // 32)
        fp8, exponents = codes.to(torch.float8_e4m3fn), scales.to(torch.uint8)
        return Mxfp8Weight(format, (rows, columns), fp8, exponents).quantised(master)

    return make


def ggml(name: str) -> Maker:
    kind = GGML_TYPES[name]
    return lambda master: GgmlWeight(
        name, kind, kind.pack(master.reshape(-1, kind.elements)), tuple(master.shape)
    )


def rotated(master: Tensor) -> Weight:
    zeros = torch.zeros(master.shape).to(torch.int8)
    return RotatedWeight(ScaledWeight("int8", zeros, torch.ones(1)), 64).quantised(master)


FORMATS: dict[str, Maker] = {
    "fp8": scaled(torch.float8_e4m3fn, None),
    "fp8 scaled": scaled(torch.float8_e4m3fn, (1,)),
    "fp8 rows": scaled(torch.float8_e4m3fn, (-1, 1)),
    "fp8 e5m2": scaled(torch.float8_e5m2, (1,)),
    "fp8 tiles": scaled(torch.float8_e4m3fn, (2, 2)),
    "int8 rows": scaled(torch.int8, (-1, 1)),
    "int8 rotated": rotated,
    "nvfp4": blocks("nvfp4"),
    "mxfp8": blocks("mxfp8"),
} | {name: ggml(name) for name in GGML_TYPES}
FORMATS |= {name: partial(holding, name) for name in ("nvfp4 low first", "int4 zeros", "int4 codebook")}


def quantised(make: Maker) -> WanTransformer:
    """A model whose large linears are held in a format, those of text and time among them."""
    base = model(**SIZES)
    for name, layer in list(base.named_modules()):
        if isinstance(layer, torch.nn.Linear) and layer.in_features == 256 and layer.out_features % 128 == 0:
            parent, _, leaf = name.rpartition(".")
            setattr(
                base.get_submodule(parent), leaf, Linear(make(layer.weight.detach()), layer.bias.detach())
            )
    return base


def codes(base: WanTransformer) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in base.named_buffers()}


def same_codes(base: WanTransformer, before: dict[str, Tensor]) -> bool:
    now = dict(base.named_buffers())
    return now.keys() == before.keys() and all(
        torch.equal(now[n].view(torch.uint8), before[n].view(torch.uint8)) for n in before
    )


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tensors = low_rank(model(**SIZES), rank=4, linears=("self_attn.q", "self_attn.k", "ffn.0"), scale=0.1)
    tensors |= {
        "diffusion_model.time_projection.1.lora_down.weight": noise(2, 256) * 0.1,
        "diffusion_model.time_projection.1.lora_up.weight": noise(6 * 256, 2) * 0.1,
        "diffusion_model.blocks.0.ffn.2.diff": noise(256, 256) * 0.01,
        "diffusion_model.blocks.0.ffn.2.diff_b": noise(256) * 0.1,
    }
    return write(tmp_path_factory.mktemp("lora") / "a.safetensors", tensors)


def plain_of(base: WanTransformer) -> WanTransformer:
    """The same values in float32."""
    plain = model(**SIZES)
    for name, layer in base.named_modules():
        if isinstance(layer, Linear):
            plain.get_submodule(name).weight = torch.nn.Parameter(layer.weight.values())
    return plain


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_is_lost_beside_a_quantised_weight(format: str, file: Path) -> None:
    """Branches, streamed differences and the few layers in floats: as merging into dequantised weights."""
    base = quantised(FORMATS[format])
    before, adapter = codes(base), lora(file, strength=0.8)
    plain = plain_of(base)
    with apply_loras(plain, [adapter], LoraOptions("merged")):
        wanted = velocity(plain)
    for mode in ("auto", "on-the-fly", "streaming"):
        with apply_loras(base, [adapter], LoraOptions(mode)) as applied:
            assert relative(velocity(base), wanted) < 2e-6
            placed = {name: choice.placed for name, choice in applied.choices.items()}
            assert placed["time_projection.1.weight"] == "held in floats"
            assert placed["blocks.0.ffn.2.weight"] == "streaming"
            assert placed["blocks.0.ffn.2.bias"] == "merged"
            assert placed["blocks.0.ffn.0.weight"] == ("streaming" if mode == "streaming" else "on-the-fly")
        assert same_codes(base, before)


@pytest.mark.parametrize("format", FORMATS)
def test_a_merge_into_a_quantised_weight_is_one_step_off(format: str, file: Path) -> None:
    base = quantised(FORMATS[format])
    before = codes(base)
    exact = plain_of(base)
    with apply_loras(exact, [lora(file)], LoraOptions("merged")):
        wanted = {name: p.detach().clone() for name, p in exact.named_parameters()}
    with apply_loras(base, [lora(file)], LoraOptions("merged")) as applied:
        for name in ("blocks.0.self_attn.q", "blocks.0.ffn.2", "time_projection.1"):
            weight = base.get_submodule(name).weight
            assert isinstance(weight, Weight)
            error = QuantisationError.of(weight, wanted[f"{name}.weight"])
            assert error.max_steps <= 1.001 and 0 < error.rel_rms < 0.3
            assert applied.errors()[f"{name}.weight"] == error
        assert "quantised again, the worst at relative error" in applied.describe()
    assert same_codes(base, before)


def test_from_a_master_nothing_is_rounded_twice(file: Path, tmp_path: Path) -> None:
    original = model(**SIZES)
    path = write(tmp_path / "master.safetensors", dict(original.state_dict()))
    base = quantised(FORMATS["int8 rows"])
    before = codes(base)
    with apply_loras(original, [lora(file)], LoraOptions("merged")):
        wanted = {name: p.detach().clone() for name, p in original.named_parameters()}
    with apply_loras(Target(base, originals=Originals(master=open_view(path))), [lora(file)]) as applied:
        assert {
            c.placed for n, c in applied.choices.items() if n.startswith("blocks") and "bias" not in n
        } == {"requantised"}
        for name in ("blocks.0.self_attn.q", "blocks.0.ffn.2"):
            once = base.get_submodule(name).weight.quantised(wanted[f"{name}.weight"])
            assert torch.equal(base.get_submodule(name).weight.codes, once.codes)
    assert same_codes(base, before)


def test_a_schedule_merged_into_a_quantised_weight_starts_from_the_original(file: Path) -> None:
    """Never from what was merged before: errors would add up."""
    base = quantised(FORMATS["fp8 scaled"])
    before = codes(base)
    options = LoraOptions("merged")

    def held(applied: AppliedLoras) -> dict[str, Tensor]:
        return {name: applied.dense(name) for name in applied.touched}

    with apply_loras(base, [lora(file, strength=0.5)], options) as applied:
        wanted = held(applied)
    with apply_loras(base, [lora(file, strength=(2.0, -1.0, 0.5, 0.0))], options) as applied:
        for step in (1, 0, 2):
            applied.set_step(step)
        assert all(torch.equal(value, wanted[name]) for name, value in held(applied).items())
        applied.set_step(3)
        assert same_codes(base, before)
    assert same_codes(base, before)
