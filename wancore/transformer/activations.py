"""What a forward needs beside the weights, before it has run."""

from __future__ import annotations

from dataclasses import dataclass

from wancore.transformer.config import TransformerConfig

#: Tensors of the stream's size that exist at once in a block, as measured on an H100: with the kernels (the
#: stream and its update, fused queries, keys and values, the rotated ones), and without, where norms and
#: rotations take steps in float32.
FUSED_TENSORS, PLAIN_TENSORS = 9.5, 12


@dataclass(frozen=True)
class Work:
    """One forward. `rows`: tokens; `variants`: texts whose keys are kept; `itemsize`: bytes of a number;
    `fused`: by the kernels."""

    rows: int
    variants: int = 2
    itemsize: int = 2
    fused: bool = False


#: Before any request: 832x480, 81 frames.
USUAL = Work(32_760)


def activation_bytes(config: TransformerConfig, work: Work) -> int:
    """An estimate of the peak, a few percent above what is measured (benchmarks/memory.py)."""
    stream = work.rows * config.dim * work.itemsize
    hidden = 2 * work.rows * config.ffn_dim * work.itemsize  # before and after the activation
    block = max(int((FUSED_TENSORS if work.fused else PLAIN_TENSORS) * stream), 4 * stream + hidden)
    image = 257 if config.image_dim is not None else 0
    kept = 2 * config.num_layers * (config.text_len + image) * config.dim * work.itemsize
    return block + work.variants * kept
