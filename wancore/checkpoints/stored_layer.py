"""One tensor that may stand for a weight, and what lies beside it in the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wancore.checkpoints.stored import CODES, Encoding, TensorInfo
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError

#: Dtypes that are what they seem: a tensor of one of these is not a code for something else.
PLAIN_DTYPES = frozenset(
    ("F64", "F32", "F16", "BF16", "BOOL", "I64", "I32", "I16", "U64", "U32", "U16", "C64", "F8_E8M0")
)
FP8_DTYPES = ("F8_E4M3", "F8_E5M2")
MARKER = "scaled_fp8"  # of a whole file; two elements ask for products in full precision
FULL_PRECISION_NUMEL = 2
#: What has been seen beside quantised weights, under the name of their layer.
SCALE_LEAVES = (
    "scale_weight", "weight_scale", "weight_scale_2", "weight_global_scale", "_scale", "alpha", "scale_input",
    "input_scale", "input_global_scale", "output_scale", "comfy_quant", "pre_quant_scale", "weight_s_rel",
    "weight_s_channel", "weight_codebook", "weight_correction", "weight_zeros",
    "weight_zero_point", "proj_down", "proj_up", "smooth_factor",
)  # fmt: skip


@dataclass(frozen=True)
class StoredLayer:
    """The tensor `name` of a raw view; `descriptions`: layer -> what the file says of its format."""

    view: FileView
    name: str
    info: TensorInfo
    descriptions: Mapping[str, Mapping[str, Any]]

    @property
    def layer(self) -> str:
        """The name without its last part."""
        return self.name.rpartition(".")[0]

    @property
    def leaf(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def description(self) -> Mapping[str, Any] | None:
        return self.descriptions.get(self.layer)

    def beside(self, *leaves: str) -> TensorInfo | None:
        """The first tensor `<layer>.<leaf>` that there is."""
        found = (self.view.entries.get(f"{self.layer}.{leaf}") for leaf in leaves)
        return next((info for info in found if info is not None), None)

    def require(self, *leaves: str) -> TensorInfo:
        """As `beside`; raises `CheckpointError` if there is none."""
        info = self.beside(*leaves)
        if info is None:
            problem = f"has no {leaves[0]} beside it, which its format needs"
            raise CheckpointError(self.view.path, problem, self.name)
        return info

    @property
    def full_precision(self) -> bool:
        """Whether the marker of its model in the file asks for products in full precision."""
        prefix = self.name
        while prefix:
            prefix = prefix.rpartition(".")[0]
            marker = self.view.entries.get(f"{prefix}.{MARKER}" if prefix else MARKER)
            if marker is not None:
                return marker.shape == (FULL_PRECISION_NUMEL,)
        return False

    def unread(self, scheme: str, format: str, problem: str) -> Encoding:
        """An encoding that only names a format; whatever else looks like a part of it belongs to it."""
        beside = {leaf: info for leaf in SCALE_LEAVES if (info := self.beside(leaf)) is not None}
        return Encoding(scheme, format, {CODES: self.info, **beside}, self.info.shape, None, problem=problem)

    def error(self, problem: str) -> CheckpointError:
        return CheckpointError(self.view.path, problem, self.name)
