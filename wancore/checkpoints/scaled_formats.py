"""fp8 and int8 weights: plain, or with scales for the matrix, its rows or its tiles.

Who writes them: ComfyUI and its wrappers ("fp8_scaled"), LightX2V (`weight_scale` per output channel or
128 x 128), meituan (`weight_int8`), musubi-tuner (`scale_weight` per channel or 64 columns).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from wancore.checkpoints.stored import CODES, Encoding, MakeWeight, TensorInfo
from wancore.checkpoints.stored_layer import FP8_DTYPES, StoredLayer

if TYPE_CHECKING:
    import torch

    from wancore.quant.blockfloat import Nvfp4Weight
    from wancore.quant.scaled import ScaledWeight

CODE_NAMES = {"F8_E4M3": "fp8 e4m3", "F8_E5M2": "fp8 e5m2", "I8": "int8"}
#: Layers that a scaled file left unquantised may have a scale all the same, usually 1.
FLOAT_NAMES = {"BF16": "bf16", "F16": "fp16", "F32": "fp32"}
SCALE_NAMES = {"tensor": "one scale", "channel": "channel scales", "block": "block scales"}
SCALE, INPUT_SCALE = "scale", "input_scale"
GLOBAL, ALPHA, INPUT_GLOBAL = "global scale", "alpha", "input global scale"  # of LightX2V's nvfp4
INPUT_SCALES = ("input_scale", "scale_input")


def make_scaled(
    parts: Mapping[str, torch.Tensor], shape: tuple[int, ...], *, format: str, full_precision: bool
) -> ScaledWeight:
    """8-bit codes with a scale, or without; `scale_input` 1 means that activations have none."""
    from wancore.quant.scaled import Activations, ScaledWeight

    given = parts.get(INPUT_SCALE)
    if given is not None and given.numel() != 1:
        raise ValueError(f"its input scale has {given.numel()} values; accepted: one")
    static = None if given is None or float(given) == 1 else float(given)
    return ScaledWeight(format, parts[CODES], parts.get(SCALE), Activations(static, full_precision))


def scaled_encoding(
    layer: StoredLayer, scheme: str, format: str, scale: TensorInfo | None, full_precision: bool = False
) -> Encoding:
    """The encoding of 8-bit codes of the weight's own shape."""
    make: MakeWeight = partial(make_scaled, format=format, full_precision=full_precision)
    inputs = layer.beside(*INPUT_SCALES)
    parts = {CODES: layer.info, SCALE: scale, INPUT_SCALE: inputs}
    return Encoding(
        scheme, format, {role: part for role, part in parts.items() if part}, layer.info.shape, make
    )


def granularity(scale: TensorInfo, rows: int) -> str:
    """What one value of a scale is for: "tensor", "channel" or "block"."""
    if all(size == 1 for size in scale.shape):
        return "tensor"
    return "channel" if scale.shape[0] == rows and all(size == 1 for size in scale.shape[1:]) else "block"


class Scaled:
    """fp8 or int8 beside `scale_weight` (ComfyUI at first, musubi) or `weight_scale` (LightX2V)."""

    def encoding(self, layer: StoredLayer) -> Encoding | None:
        if layer.leaf != "weight" or not layer.info.shape:
            return None
        codes = layer.info.dtype
        legacy, current = layer.beside("scale_weight"), layer.beside("weight_scale")
        scale = legacy or current
        if scale is None:
            return None
        if codes in FLOAT_NAMES and legacy is not None:
            name = f"{FLOAT_NAMES[codes]} with {SCALE_NAMES[granularity(legacy, layer.info.shape[0])]}"
            return scaled_encoding(layer, "fp8_scaled", name, legacy, layer.full_precision)
        if codes not in CODE_NAMES:
            return four_bit(layer)
        kind = granularity(scale, layer.info.shape[0])
        name = (
            f"{CODE_NAMES[codes]} with {'one' if kind == 'tensor' else kind} scale{'s' * (kind != 'tensor')}"
        )
        scheme = f"fp8_{kind}" if codes in FP8_DTYPES else f"int8_{kind}"
        if legacy is not None and codes in FP8_DTYPES:
            scheme = "fp8_scaled"
        return scaled_encoding(layer, scheme, name, scale, layer.full_precision)


def four_bit(layer: StoredLayer) -> Encoding | None:
    """4-bit floats without a description: LightX2V's, told by what is beside it, or unknown ones, since the
    order of values and scales depends on the writer's kernel."""
    if layer.info.dtype not in ("U8", "F4"):
        return None
    if layer.info.dtype == "U8" and (found := lightx2v_nvfp4(layer)) is not None:
        return found
    problem = "nothing in the file tells the order of its values"
    return layer.unread("fp4", "4-bit float with block scales", problem)


def lightx2v_nvfp4(layer: StoredLayer) -> Encoding | None:
    """With `weight_global_scale` = 2688 / amax as converted, or its share of `alpha` once calibrated."""
    scales, whole = layer.beside("weight_scale"), layer.beside("weight_global_scale")
    alpha, inputs = layer.beside("alpha"), layer.beside("input_global_scale")
    if scales is None or len(layer.info.shape) != 2 or (whole is None and (alpha is None or inputs is None)):
        return None
    rows, packed = layer.info.shape
    tiles = -(-rows // 128) * 128, -(-packed // 32) * 4
    if scales.dtype not in ("F8_E4M3", "U8") or scales.shape != tiles or packed % 8:
        return None
    parts = {CODES: layer.info, SCALE: scales, GLOBAL: whole, ALPHA: alpha, INPUT_GLOBAL: inputs}
    found = {role: part for role, part in parts.items() if part is not None}
    return Encoding("nvfp4", "LightX2V nvfp4", found, (rows, 2 * packed), make_lightx2v_nvfp4)


def make_lightx2v_nvfp4(parts: Mapping[str, torch.Tensor], shape: tuple[int, ...]) -> Nvfp4Weight:
    from wancore.quant.blockfloat import Nvfp4Weight

    if GLOBAL in parts:
        scale = 1 / parts[GLOBAL].float()
    else:  # alpha = 1 / (input_global_scale * weight_global_scale)
        scale = parts[ALPHA].float() * parts[INPUT_GLOBAL].float()
    return Nvfp4Weight("LightX2V nvfp4", shape, parts[CODES], parts[SCALE], scale, low_first=True)


class WeightInt8:
    """`<layer>.weight_int8` with `<layer>.weight_scale` [out] (meituan)."""

    def encoding(self, layer: StoredLayer) -> Encoding | None:
        if layer.leaf != "weight_int8" or layer.info.dtype != "I8":
            return None
        scale = layer.require("weight_scale")
        kind = granularity(scale, layer.info.shape[0] if layer.info.shape else 1)
        return scaled_encoding(layer, f"int8_{kind}", f"int8 with {SCALE_NAMES[kind]}", scale)


class PlainFp8:
    """A matrix cast to fp8, without scales."""

    def encoding(self, layer: StoredLayer) -> Encoding | None:
        if layer.leaf != "weight" or layer.info.dtype not in FP8_DTYPES or len(layer.info.shape) != 2:
            return None
        name = f"plain {CODE_NAMES[layer.info.dtype]}"
        return scaled_encoding(layer, "fp8", name, None, layer.full_precision)


@dataclass(frozen=True)
class Named:
    """A format that is known by name only."""

    name: str
    suffix: str
    dtypes: tuple[str, ...] = ()

    def encoding(self, layer: StoredLayer) -> Encoding | None:
        if not layer.name.endswith(self.suffix) or (self.dtypes and layer.info.dtype not in self.dtypes):
            return None
        return layer.unread("unknown", self.name, "this format is not read")
