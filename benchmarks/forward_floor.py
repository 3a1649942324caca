"""What bounds a forward: its products and attention alone, and the bytes of what lies between them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.wan14b import CONFIG, Size
from wancore.kernels.activation import quantise_rows
from wancore.kernels.codes import Codes
from wancore.transformer.linears import apply, project
from wancore.transformer.model import WanTransformer


def products_and_attention(model: WanTransformer, size: Size, fp8: bool) -> Callable[[], None]:
    """Every product and every attention of the blocks, with the model's own weights, and nothing else."""
    rows, dim, heads = size.tokens, CONFIG.dim, CONFIG.num_heads

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, device="cuda", dtype=torch.bfloat16)

    x: Tensor | Codes = noise(rows, dim)
    hidden: Tensor | Codes = noise(rows, CONFIG.ffn_dim)
    if fp8:
        x, hidden = quantise_rows(noise(rows, dim)), quantise_rows(noise(rows, CONFIG.ffn_dim))
    q, k, v = (noise(rows, heads, dim // heads) for _ in range(3))
    text = noise(CONFIG.text_len, heads, dim // heads), noise(CONFIG.text_len, heads, dim // heads)

    def run() -> None:
        for block in model.layers:
            attention, reading = block.self_attn, block.cross_attn
            assert reading is not None
            project(x, (attention.q, attention.k, attention.v))
            model.attend(q, k, v)
            apply(attention.o, x)
            apply(reading.q, x)
            model.attend(q, *text)
            apply(reading.o, x)
            apply(block.ffn[0], x)
            apply(block.ffn[2], hidden)

    return run


def elementwise_bytes(size: Size, fp8: bool) -> int:
    """Of one forward, with each fused operation reading its inputs once and writing its results once."""
    rows = size.tokens * CONFIG.dim * 2  # bytes of a bfloat16 tensor of tokens
    hidden = size.tokens * CONFIG.ffn_dim * 2
    normed = rows // 2 if fp8 else rows
    junctions = 3 * (3 * rows + normed)  # read the stream and an update, write the sum and its norm
    rotation = 4 * rows
    text_queries = 2 * rows
    activation = hidden + (hidden // 2 if fp8 else hidden)
    attended = 2 * (rows + rows // 2) if fp8 else 0  # results of attention in fp8
    return CONFIG.num_layers * (junctions + rotation + text_queries + activation + attended)
