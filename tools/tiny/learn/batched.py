"""The transformer's forward for batches of equal grids: the same weights, [B, S, D] instead of packed rows.

Text rows beyond the prompt are all alike (zeros, embedded), so they are one key here, counted as often
as it stands there: exp(log n + s) = n exp(s). Everything between the linears is in the weights' type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from wancore.transformer.attention import TextAttention
from wancore.transformer.block import Block
from wancore.transformer.model import WanTransformer, linear_float32
from wancore.transformer.norms import LayerNorm, RMSNorm
from wancore.transformer.rope import Rotation, grid_positions


@dataclass(frozen=True)
class Text:
    """`rows` [B, L + 1, text_dim], zero where there is no token; `bias` [B, 1, 1, L + 1] on the scores."""

    rows: Tensor
    bias: Tensor

    @classmethod
    def of(cls, states: Tensor, mask: Tensor, length: int) -> Text:
        """`states` [B, L, text_dim] of the text encoder, `mask` [B, L]; `length`: rows the model pads to."""
        mask = mask.bool()
        rows = F.pad(states * mask[..., None], (0, 0, 0, 1))
        real = torch.zeros_like(mask, dtype=torch.float32).masked_fill(~mask, -1e4)
        padding = torch.log(length - mask.sum(1, keepdim=True).float())
        return cls(rows, torch.cat((real, padding), dim=1)[:, None, None].to(states.dtype))


def velocity(model: WanTransformer, latents: Tensor, times: Tensor, text: Text) -> Tensor:
    """Latents [B, C, F, h, w], timesteps of every frame [B, F] -> velocity [B, C, F, h, w] float32."""
    b, frames = times.shape
    e, e0 = model.embed_time(times.flatten())
    e, e0 = e.view(b, frames, -1), e0.view(b, frames, 6, -1)
    _, q, r = model.config.patch_size
    height, width = latents.shape[-2] // q, latents.shape[-1] // r
    patches = rearrange(latents.to(model.dtype), "b c f (h q) (w r) -> b f (h w) (c q r)", q=q, r=r)
    x = F.linear(patches, model.patch_embedding.weight.flatten(1), model.patch_embedding.bias)
    rotation = rotation_of(model, (frames, height, width), x)
    embedded = model.text_embedding(text.rows.to(model.dtype))
    for block in model.layers:
        x = block_forward(block, x, e0, rotation, embedded, text.bias)
    shift, scale = (model.head.modulation.float() + e[:, :, None]).unbind(2)
    n = modulated(x.float(), shift[:, :, None], scale[:, :, None], model.config.eps)
    return rearrange(
        linear_float32(n, model.head.head),
        "b f (h w) (q r c) -> b c f (h q) (w r)",
        h=height,
        w=width,
        q=q,
        r=r,
    )


ROTATIONS: dict[tuple[int, ...], Rotation] = {}


def rotation_of(model: WanTransformer, grid: tuple[int, int, int], like: Tensor) -> Rotation:
    """cos, sin [S, d]: every factor twice, for channels next to each other; kept by grid."""
    key = (*grid, model.config.head_dim, hash((like.device, like.dtype)))
    if key not in ROTATIONS:
        made = Rotation.of(model.frequencies.factors(grid_positions(*grid)), like.device)
        twice = (t.repeat_interleave(2, dim=1).to(like.dtype) for t in (made.cos, made.sin))
        ROTATIONS[key] = Rotation(*twice)
    return ROTATIONS[key]


def block_forward(
    block: Block, x: Tensor, e0: Tensor, rotation: Rotation, text: Tensor, bias: Tensor
) -> Tensor:
    """x [B, F, P, D], e0 [B, F, 6, D] float32, text [B, L + 1, D] -> [B, F, P, D]."""
    table = (block.modulation.float() + e0)[:, :, :, None].to(x.dtype)  # [B, F, 6, 1, D]
    shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = table.unbind(2)
    own, cross, norm3 = block.self_attn, cast(TextAttention, block.cross_attn), cast(LayerNorm, block.norm3)
    heads = own.num_heads
    n = rearrange(modulated(x, shift, scale, block.eps), "b f p d -> b (f p) d")
    q = rotated(split(normed(own.q(n), own.norm_q), heads), rotation)
    k = rotated(split(normed(own.k(n), own.norm_k), heads), rotation)
    attended = F.scaled_dot_product_attention(q, k, split(own.v(n), heads))
    x = torch.addcmul(x, own.o(joined(attended)).view_as(x), gate)
    n = F.layer_norm(x, x.shape[-1:], norm3.weight, norm3.bias, block.eps).flatten(1, 2)
    q = split(normed(cross.q(n), cross.norm_q), heads)
    k = split(normed(cross.k(text), cross.norm_k), heads)
    read = F.scaled_dot_product_attention(q, k, split(cross.v(text), heads), attn_mask=bias)
    x = x + cross.o(joined(read)).view_as(x)
    n = modulated(x, ffn_shift, ffn_scale, block.eps)
    return torch.addcmul(x, block.ffn(n), ffn_gate)


def modulated(x: Tensor, shift: Tensor, scale: Tensor, eps: float) -> Tensor:
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:], eps=eps), 1 + scale)


def normed(x: Tensor, norm: RMSNorm) -> Tensor:
    return F.rms_norm(x, x.shape[-1:], norm.weight, norm.eps)


def split(x: Tensor, heads: int) -> Tensor:
    return rearrange(x, "b s (h d) -> b h s d", h=heads)


def joined(x: Tensor) -> Tensor:
    return rearrange(x, "b h s d -> b s (h d)")


def rotated(x: Tensor, rotation: Rotation) -> Tensor:
    """Rotates neighbouring channel pairs of x [B, H, S, d]."""
    pairs = x.unflatten(-1, (-1, 2))
    crossed = torch.stack((-pairs[..., 1], pairs[..., 0]), dim=-1).flatten(-2)
    return torch.addcmul(x * rotation.cos, crossed, rotation.sin)
