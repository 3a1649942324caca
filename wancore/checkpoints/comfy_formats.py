"""ComfyUI's described quantisation: a JSON object for each layer, beside it or in the header.

Beside it: `<layer>.comfy_quant`, uint8, holding UTF-8. In the header: `_quantization_metadata`, whose layer
names include the file's prefix. Source: Comfy-Org/ComfyUI QUANTIZATION.md; tensor layouts of comfy-kitchen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from wancore.checkpoints.scaled_formats import INPUT_SCALE, INPUT_SCALES, SCALE, make_scaled
from wancore.checkpoints.small import small_tensors
from wancore.checkpoints.stored import CODES, Encoding, MakeWeight
from wancore.checkpoints.stored_layer import FP8_DTYPES, StoredLayer
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError, shown

if TYPE_CHECKING:
    import torch

    from wancore.quant.blockfloat import Mxfp8Weight, Nvfp4Weight
    from wancore.quant.weight import Weight

METADATA, DESCRIPTION = "_quantization_metadata", "comfy_quant"
MAX_DESCRIPTION_BYTES = 100_000
MATRIX_SCALE = "matrix_scale"
CHANNEL, CODEBOOK, OFFSET = "channel_scale", "codebook", "offset"
INT4_NAME, W4A8_NAME, AWQ_NAME = "ComfyUI convrot_w4a4", "ComfyUI asym_w4a8_int8", "ComfyUI awq_w4a16"
Descriptions = Mapping[str, Mapping[str, Any]]


def comfy_descriptions(view: FileView) -> Descriptions:
    """Layer -> its description, from the header and from the tensors. Raises `CheckpointError`."""
    found = dict(in_header(view))
    described = [name for name in view.entries if name.endswith("." + DESCRIPTION)]
    for name in described:
        if view.entries[name].nbytes > MAX_DESCRIPTION_BYTES or view.entries[name].dtype != "U8":
            raise CheckpointError(view.path, "is no description of a layer's format", name)
    for name, text in small_tensors(view, described).items():
        found[name.removesuffix("." + DESCRIPTION)] = description(view, name, text)
    return found


def in_header(view: FileView) -> Descriptions:
    if METADATA not in view.metadata:
        return {}
    try:
        layers = json.loads(view.metadata[METADATA])["layers"]
        return {name: dict(value) for name, value in layers.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        problem = f"header metadata {METADATA} is malformed ({type(error).__name__})"
        raise CheckpointError(view.path, problem) from error


def description(view: FileView, name: str, text: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(view.path, f"is not JSON: {shown(text, 60)}", name) from error
    if not isinstance(value, dict):
        raise CheckpointError(view.path, f"is not a JSON object: {shown(text, 60)}", name)
    return value


class ComfyDescribed:
    """A `weight` whose layer the file describes; the description names the format."""

    def encoding(self, layer: StoredLayer) -> Encoding | None:
        described = layer.description
        if described is None or layer.leaf != "weight":
            return None
        name = described.get("format")
        if not isinstance(name, str):
            raise layer.error(f"is described without a format: {shown(dict(described))}")
        if name not in FORMATS:
            accepted = f"accepted: {', '.join(FORMATS)}"
            return layer.unread("comfy", f"ComfyUI {shown(name)[1:-1]}", accepted)
        return FORMATS[name](layer, described)


def option(layer: StoredLayer, described: Mapping[str, Any], name: str, default: Any) -> Any:
    """An option of a description, which may also sit in its "params"; its type must be the default's."""
    params = described.get("params")
    value = described.get(name, params.get(name, default) if isinstance(params, dict) else default)
    if type(value) is not type(default):
        raise layer.error(f"{name}: got {shown(value)}; accepted: {type(default).__name__}")
    return value


def float8(layer: StoredLayer, described: Mapping[str, Any]) -> Encoding:
    name = str(described["format"])
    if layer.info.dtype not in FP8_DTYPES:
        raise layer.error(f"is described as {name} and stored as {layer.info.dtype}")
    full = option(layer, described, "full_precision_matrix_mult", False)
    return comfy_scaled(layer, f"ComfyUI {name}", full)


def int8(layer: StoredLayer, described: Mapping[str, Any]) -> Encoding:
    if layer.info.dtype != "I8":
        raise layer.error(f"is described as int8_tensorwise and stored as {layer.info.dtype}")
    full = option(layer, described, "full_precision_matrix_mult", False)
    if not option(layer, described, "convrot", False):
        return comfy_scaled(layer, "ComfyUI int8_tensorwise", full)
    group = option(layer, described, "convrot_groupsize", 256)
    plain = comfy_scaled(layer, "ComfyUI int8_tensorwise, rotated", full)
    make = partial(make_rotated, format=plain.format, full_precision=full, group=group)
    return Encoding(plain.scheme, plain.format, plain.parts, plain.shape, make)


def comfy_scaled(layer: StoredLayer, format: str, full_precision: bool) -> Encoding:
    make: MakeWeight = partial(make_scaled, format=format, full_precision=full_precision)
    parts = {CODES: layer.info, SCALE: layer.require("weight_scale", "scale_weight")}
    if (inputs := layer.beside(*INPUT_SCALES)) is not None:
        parts[INPUT_SCALE] = inputs
    return Encoding("comfy", format, parts, layer.info.shape, make)


def make_rotated(
    parts: Mapping[str, torch.Tensor],
    shape: tuple[int, ...],
    *,
    format: str,
    full_precision: bool,
    group: int,
) -> Weight:
    from wancore.quant.rotated import RotatedWeight

    return RotatedWeight(make_scaled(parts, shape, format=format, full_precision=full_precision), group)


def int4(layer: StoredLayer, described: Mapping[str, Any]) -> Encoding:
    check_codes(layer, "convrot_w4a4", ("I8", "U8"))
    rows, packed = layer.info.shape
    group = option(layer, described, "convrot_groupsize", 256)
    parts = {CODES: layer.info, SCALE: layer.require("weight_scale")}
    make = partial(make_int4, group=group)
    return Encoding("comfy", INT4_NAME, parts, (rows, 2 * packed), make)


def make_int4(parts: Mapping[str, torch.Tensor], shape: tuple[int, ...], *, group: int) -> Weight:
    from wancore.quant.int4 import Int4Weight
    from wancore.quant.rotated import RotatedWeight

    return RotatedWeight(Int4Weight(INT4_NAME, parts[CODES], parts[SCALE]), group)


def w4a8(layer: StoredLayer, described: Mapping[str, Any]) -> Encoding:
    check_codes(layer, "asym_w4a8_int8", ("I8", "U8"))
    rows, packed = layer.info.shape
    groups = layer.require("weight_s_rel")
    size = option(layer, described, "group_size", 16)
    if groups.shape != (rows, 2 * packed // max(size, 1)):
        codes = f"{rows} x {packed} bytes with scales {list(groups.shape)} for {size} columns each"
        return layer.unread("comfy", W4A8_NAME, f"{codes} are no 4-bit codes")
    parts = {CODES: layer.info, SCALE: groups, CHANNEL: layer.require("weight_s_channel")}
    for role, leaf in ((CODEBOOK, "weight_codebook"), (OFFSET, "weight_correction")):
        if (info := layer.beside(leaf)) is not None:
            parts[role] = info
    make = partial(make_w4a8, group=option(layer, described, "convrot_groupsize", 256))
    return Encoding("comfy", W4A8_NAME, parts, (rows, 2 * packed), make)


def make_w4a8(parts: Mapping[str, torch.Tensor], shape: tuple[int, ...], *, group: int) -> Weight:
    from wancore.quant.codebook import GroupedInt4Weight
    from wancore.quant.rotated import RotatedWeight

    offset = parts[OFFSET].T.contiguous() if OFFSET in parts else None
    grouped = GroupedInt4Weight(
        W4A8_NAME,
        parts[CODES],
        parts[SCALE],
        channel=parts[CHANNEL],
        offset=offset,
        levels=parts.get(CODEBOOK),
    )
    return RotatedWeight(grouped, group)


def awq(layer: StoredLayer, described: Mapping[str, Any]) -> Encoding:
    check_codes(layer, "awq_w4a16", ("I8", "U8"))
    rows, packed = layer.info.shape
    parts = {CODES: layer.info, SCALE: layer.require("weight_scale"), OFFSET: layer.require("weight_zeros")}
    return Encoding("comfy", AWQ_NAME, parts, (rows, 2 * packed), make_awq)


def make_awq(parts: Mapping[str, torch.Tensor], shape: tuple[int, ...]) -> Weight:
    from wancore.quant.codebook import GroupedInt4Weight

    scale, offset = parts[SCALE].T.contiguous(), parts[OFFSET].T.contiguous()
    return GroupedInt4Weight(AWQ_NAME, parts[CODES], scale, offset=offset)


def nvfp4(layer: StoredLayer, described: Mapping[str, Any]) -> Encoding:
    check_codes(layer, "nvfp4", ("U8",))
    rows, packed = layer.info.shape
    parts = {
        CODES: layer.info,
        SCALE: layer.require("weight_scale"),
        MATRIX_SCALE: layer.require("weight_scale_2"),
    }
    if (inputs := layer.beside(*INPUT_SCALES)) is not None:
        parts[INPUT_SCALE] = inputs
    return Encoding("comfy", "ComfyUI nvfp4", parts, (rows, 2 * packed), make_nvfp4, block=16)


def make_nvfp4(parts: Mapping[str, torch.Tensor], shape: tuple[int, ...]) -> Nvfp4Weight:
    from wancore.quant.blockfloat import Nvfp4Weight

    return Nvfp4Weight("ComfyUI nvfp4", shape, parts[CODES], parts[SCALE], parts[MATRIX_SCALE])


def mxfp8(layer: StoredLayer, described: Mapping[str, Any]) -> Encoding:
    check_codes(layer, "mxfp8", ("F8_E4M3", "U8"))
    parts = {CODES: layer.info, SCALE: layer.require("weight_scale")}
    if (inputs := layer.beside(*INPUT_SCALES)) is not None:
        parts[INPUT_SCALE] = inputs
    return Encoding("comfy", "ComfyUI mxfp8", parts, layer.info.shape, make_mxfp8, block=32)


def make_mxfp8(parts: Mapping[str, torch.Tensor], shape: tuple[int, ...]) -> Mxfp8Weight:
    from wancore.quant.blockfloat import Mxfp8Weight

    return Mxfp8Weight("ComfyUI mxfp8", shape, parts[CODES], parts[SCALE])


def check_codes(layer: StoredLayer, name: str, dtypes: tuple[str, ...]) -> None:
    if layer.info.dtype not in dtypes or len(layer.info.shape) != 2:
        stored = f"{layer.info.dtype}{list(layer.info.shape)}"
        raise layer.error(f"is described as {name} and stored as {stored}")


FORMATS: Mapping[str, Callable[[StoredLayer, Mapping[str, Any]], Encoding]] = {
    "float8_e4m3fn": float8,
    "float8_e5m2": float8,
    "int8_tensorwise": int8,
    "nvfp4": nvfp4,
    "mxfp8": mxfp8,
    "convrot_w4a4": int4,
    "asym_w4a8_int8": w4a8,
    "awq_w4a16": awq,
}
