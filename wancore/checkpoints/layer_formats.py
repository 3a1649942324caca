"""How a layer's weight is stored, told from names, dtypes and header metadata.

One `LayerFormat` per scheme, in the order in which they are asked: a layer belongs to the first that
claims it. A scheme that `load_module` cannot read is still recognised, so that it is named in the error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError

#: What stands beside a quantised weight, or in its place, under the name of its layer.
SCALES = (
    "scale_weight", "weight_scale", "weight_scale_2", "weight_global_scale", "weight._scale", "alpha",
    "scale_input", "input_scale", "input_global_scale", "output_scale", "comfy_quant", "pre_quant_scale",
    "weight_s_rel", "weight_s_channel", "weight_codebook",
)  # fmt: skip
STAND_INS = ("weight_int8", "weight._data")
MARKER = "scaled_fp8"
FP8 = ("F8_E4M3", "F8_E5M2")
COMFY_METADATA = "_quantization_metadata"


@dataclass(frozen=True)
class LayerFormat:
    """`layers(view)` lists the layers stored this way (their names without `.weight`)."""

    name: str
    layers: Callable[[FileView], Collection[str]]
    readable: bool = False


@dataclass(frozen=True)
class FoundFormat:
    """A format that occurs in a view, and in how many layers."""

    name: str
    layers: int
    readable: bool


def marked(*suffixes: str) -> Callable[[FileView], set[str]]:
    """The layers that have a tensor named `<layer>.<suffix>` for one of `suffixes`."""
    endings = tuple("." + suffix for suffix in suffixes)
    return lambda view: {
        name.removesuffix(ending) for name in view.entries for ending in endings if name.endswith(ending)
    }


def stored_as(dtypes: Sequence[str], sibling: str = "") -> Callable[[FileView], set[str]]:
    """The layers whose weight has one of `dtypes`, and a tensor `<layer>.<sibling>` if that is given."""
    return lambda view: {
        layer
        for name, info in view.entries.items()
        if name.endswith(".weight") and info.dtype in dtypes
        for layer in (name.removesuffix(".weight"),)
        if not sibling or f"{layer}.{sibling}" in view.entries
    }


def in_comfy_header(view: FileView) -> set[str]:
    """The layers that ComfyUI's header metadata lists. Raises `CheckpointError` if it is malformed."""
    if COMFY_METADATA not in view.metadata:
        return set()
    try:
        layers = json.loads(view.metadata[COMFY_METADATA])["layers"]
        return set(layers)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        problem = f"header metadata {COMFY_METADATA} is malformed ({type(error).__name__})"
        raise CheckpointError(view.path, problem) from error


LAYER_FORMATS: tuple[LayerFormat, ...] = (
    LayerFormat("ComfyUI quantisation (comfy_quant)", marked("comfy_quant")),
    LayerFormat("ComfyUI quantisation (header)", in_comfy_header),
    LayerFormat("fp8 with scale_weight", marked("scale_weight")),
    LayerFormat("int8 with row scales (weight_int8)", marked("weight_int8")),
    LayerFormat("quanto", marked("weight._data", "weight._scale")),
    LayerFormat("4-bit float with block scales", stored_as(("U8", "F4"), sibling="weight_scale")),
    LayerFormat("fp8 with weight_scale", stored_as(FP8, sibling="weight_scale")),
    LayerFormat("int8 with weight_scale", stored_as(("I8",), sibling="weight_scale")),
    LayerFormat("packed integers of unknown meaning", stored_as(("U8", "I8", "F4"))),
    LayerFormat("plain fp8", stored_as(FP8), readable=True),
)


def found_formats(view: FileView) -> list[FoundFormat]:
    """The quantised formats in `view`, with how many layers each has; none for a plain float file."""
    seen: set[str] = set()
    found = []
    for layer_format in LAYER_FORMATS:
        layers = set(layer_format.layers(view)) - seen
        seen |= layers
        if layers:
            found.append(FoundFormat(layer_format.name, len(layers), layer_format.readable))
    return found


def logical_names(view: FileView) -> FileView:
    """`view` under the names its model has, without scales and markers; shapes are as stored.

    For looking only: a quantised weight under its layer's name is not the weight.
    """
    names = {}
    for name in view.entries:
        if name == MARKER or any(name.endswith("." + scale) for scale in SCALES):
            continue
        stand_in = next((s for s in STAND_INS if name.endswith("." + s)), None)
        names[name] = name.removesuffix(stand_in) + "weight" if stand_in else name
    return view.renamed(names)


def check_readable(view: FileView) -> None:
    """Raises `CheckpointError` if layers of `view` are stored in a format that cannot be read."""
    unreadable = [found for found in found_formats(view) if not found.readable]
    if unreadable:
        names = ", ".join(f"{found.name}, {found.layers} layers" for found in unreadable)
        problem = f"is quantised ({names}), which is not read; take a float or plain fp8 file of this model"
        raise CheckpointError(view.path, problem)
