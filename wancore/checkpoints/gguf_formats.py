"""GGUF's quantised types: each tensor names its own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from wancore.checkpoints.ggml_layout import QUANTISED
from wancore.checkpoints.stored import CODES, Encoding
from wancore.checkpoints.stored_layer import StoredLayer

if TYPE_CHECKING:
    import torch

    from wancore.quant.ggml import GgmlWeight

READ = frozenset(
    ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS")
)


def make_ggml(parts: Mapping[str, torch.Tensor], shape: tuple[int, ...], *, kind: str) -> GgmlWeight:
    from wancore.quant.ggml import GgmlWeight
    from wancore.quant.ggml_types import GGML_TYPES

    return GgmlWeight(f"GGUF {kind}", GGML_TYPES[kind], parts[CODES], shape)


class Gguf:
    """A tensor whose dtype is one of ggml's quantised types."""

    def encoding(self, layer: StoredLayer) -> Encoding | None:
        kind = layer.info.dtype
        if kind not in QUANTISED:
            return None
        make = partial(make_ggml, kind=kind) if kind in READ else None
        problem = "" if make else f"accepted: {', '.join(sorted(READ))}"
        blocks = layer.info._replace(shape=(layer.info.nbytes,))  # they are read as bytes
        return Encoding("gguf", f"GGUF {kind}", {CODES: blocks}, layer.info.shape, make, problem=problem)
