"""The text encoder's forward from its own layers, free of checks that wait for the GPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

MASKED = -1e4


def text_states(stack: Any, ids: Tensor, mask: Tensor) -> Tensor:
    """UMT5 (arXiv:2304.09151): ids, mask [B, L] -> states [B, L, width], as `stack` itself gives them."""
    x = stack.embed_tokens(ids)
    hidden = (1 - mask[:, None, None].to(x.dtype)) * MASKED
    for block in stack.block:
        attention, feed = block.layer
        x = x + attend(attention.SelfAttention, attention.layer_norm(x), hidden)
        x = x + feed.DenseReluDense(feed.layer_norm(x))
    states: Tensor = stack.final_layer_norm(x)
    return states


def attend(layer: Any, x: Tensor, hidden: Tensor) -> Tensor:
    q, k, v = (
        part(x).unflatten(-1, (layer.n_heads, -1)).transpose(1, 2) for part in (layer.q, layer.k, layer.v)
    )
    scores = q @ k.transpose(-1, -2) + positions(layer, x.shape[1], x.device).to(x.dtype) + hidden
    out: Tensor = layer.o((scores.float().softmax(-1).to(x.dtype) @ v).transpose(1, 2).flatten(2))
    return out


BUCKETS: dict[tuple[int, torch.device], Tensor] = {}


def positions(layer: Any, length: int, device: torch.device) -> Tensor:
    """The layer's relative position bias [1, H, L, L]."""
    key = (length, device)
    if key not in BUCKETS:
        at = torch.arange(length)
        BUCKETS[key] = layer._relative_position_bucket(at[None] - at[:, None]).to(device)
    table: nn.Embedding = layer.relative_attention_bias
    return table(BUCKETS[key]).permute(2, 0, 1)[None]
