"""What a forward needs beside the weights, before it has run."""

from __future__ import annotations

from dataclasses import dataclass

from wancore.transformer.config import TransformerConfig

#: Tensors of the stream's size that exist at once in a block: the stream, its norm, queries before and after
#: rotation, keys, and the float32 steps of a rotation.
TENSORS = 12


@dataclass(frozen=True)
class Work:
    """One forward. `rows`: tokens; `variants`: texts whose keys are kept; `itemsize`: bytes of a number."""

    rows: int
    variants: int = 2
    itemsize: int = 2


#: Before any request: 832x480, 81 frames.
USUAL = Work(32_760)


def activation_bytes(config: TransformerConfig, work: Work) -> int:
    """An estimate of the peak, within a fifth or so of what is measured (benchmarks/memory.py)."""
    stream = work.rows * config.dim * work.itemsize
    hidden = 2 * work.rows * config.ffn_dim * work.itemsize  # before and after the activation
    block = max(TENSORS * stream, 4 * stream + hidden)
    image = 257 if config.image_dim is not None else 0
    kept = 2 * config.num_layers * (config.text_len + image) * config.dim * work.itemsize
    return block + work.variants * kept
