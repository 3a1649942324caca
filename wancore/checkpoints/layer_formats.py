"""How weights are stored, told from names, dtypes and descriptions in the file.

One `LayerFormat` per scheme; a tensor belongs to the first that claims it. A scheme that cannot be read is
still recognised, so that it is named in the error. Adding a scheme is adding one to `LAYER_FORMATS`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from wancore.checkpoints.comfy_formats import (
    DESCRIPTION,
    ComfyDescribed,
    Descriptions,
    comfy_descriptions,
)
from wancore.checkpoints.gguf_formats import Gguf
from wancore.checkpoints.scaled_formats import Named, PlainFp8, Scaled, WeightInt8
from wancore.checkpoints.stored import Encoded, Encoding, TensorInfo
from wancore.checkpoints.stored_layer import MARKER, PLAIN_DTYPES, StoredLayer
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError


class LayerFormat(Protocol):
    """One way of storing a weight."""

    def encoding(self, layer: StoredLayer) -> Encoding | None:
        """How the tensor of `layer` stands for a weight; None if it is not stored this way.

        Raises `CheckpointError` where the file contradicts itself.
        """


@dataclass(frozen=True)
class FoundFormat:
    """A format that occurs in a view, and in how many layers; `problem` says why it is not read."""

    name: str
    scheme: str
    layers: int
    problem: str = ""

    @property
    def readable(self) -> bool:
        return not self.problem


LAYER_FORMATS: tuple[LayerFormat, ...] = (
    Gguf(),
    ComfyDescribed(),
    WeightInt8(),
    Scaled(),
    Named("quanto", suffix="._data"),
    Named("packed integers of unknown meaning", suffix=".weight", dtypes=("U8", "I8", "F4")),
    PlainFp8(),
)
#: What stands for a weight under another name than `<layer>.weight`.
STAND_INS = {".weight_int8": ".weight", ".weight._data": ".weight"}
#: What may be left beside a layer that is not quantised after all.
LEFT_OVERS = (".input_scale", ".scale_input", ".output_scale", "." + DESCRIPTION)


def resolved(view: FileView) -> FileView:
    """`view` with each quantised weight as one tensor of its layer's name; scales and markers are gone.

    Raises `CheckpointError` where a file contradicts itself; a format that is not read is only noted.
    """
    if not quantised(view):
        return view
    descriptions = comfy_descriptions(view)
    found = {
        name: encoding
        for name, info in view.entries.items()
        if (encoding := encoding_of(view, name, info, descriptions)) is not None
    }
    taken = {name for encoding in found.values() for name in parts_of(encoding)}
    entries: dict[str, TensorInfo] = {}
    for name, info in view.entries.items():
        if name in found:
            new = logical_name(name)
            if new in entries or (new != name and new in view.entries):
                raise CheckpointError(view.path, f"and another tensor would both be named {new!r}", name)
            entries[new] = logical(found[name], info)
        elif name not in taken and not left_over(name):
            entries[name] = info
    return replace(view, entries=entries)


def quantised(view: FileView) -> bool:
    return any(info.dtype not in PLAIN_DTYPES for info in view.entries.values())


def encoding_of(view: FileView, name: str, info: TensorInfo, descriptions: Descriptions) -> Encoding | None:
    if info.dtype in PLAIN_DTYPES and not scaled_all_the_same(view, name):
        return None
    layer = StoredLayer(view, name, info, descriptions)
    return next((e for one in LAYER_FORMATS if (e := one.encoding(layer)) is not None), None)


def scaled_all_the_same(view: FileView, name: str) -> bool:
    """Whether a plain tensor is a weight with a scale beside it, as some files have them."""
    return name.endswith(".weight") and name.removesuffix("weight") + "scale_weight" in view


def parts_of(encoding: Encoding) -> Iterable[str]:
    return (
        piece.name
        for part in encoding.parts.values()
        for piece in part.pieces
        if not isinstance(piece, Encoded)
    )


def logical(encoding: Encoding, codes: TensorInfo) -> TensorInfo:
    return TensorInfo(codes.dtype, encoding.shape, encoding.nbytes, (Encoded(encoding),))


def logical_name(name: str) -> str:
    for suffix, new in STAND_INS.items():
        if name.endswith(suffix):
            return name.removesuffix(suffix) + new
    return name


def left_over(name: str) -> bool:
    return name.rpartition(".")[2] == MARKER or name.endswith(LEFT_OVERS)


def encodings(view: FileView) -> Mapping[str, Encoding]:
    """The quantised weights of a resolved view."""
    quantised = ((name, info) for name, info in view.entries.items() if type(info.pieces[0]) is Encoded)
    return {name: e for name, info in quantised for e in info.encodings}


def found_formats(view: FileView) -> list[FoundFormat]:
    """The quantised formats in a resolved view and how many layers each has; none for a plain float file."""
    kinds = Counter((e.format, e.scheme, e.problem) for e in encodings(view).values())
    return [FoundFormat(format, scheme, count, problem) for (format, scheme, problem), count in kinds.items()]


def check_readable(view: FileView) -> None:
    """Raises `CheckpointError` if layers of `view` are stored in a format that cannot be read."""
    unreadable = [found for found in found_formats(view) if not found.readable]
    if unreadable:
        names = ", ".join(f"{one.name}, {one.layers} layers" for one in unreadable)
        problem = f"is quantised ({names}), which is not read; take this model in another format"
        raise CheckpointError(view.path, problem)
