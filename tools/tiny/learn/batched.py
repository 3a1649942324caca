"""The transformer's forward for batches of equal grids: the same weights, [B, S, D] instead of packed rows.

Text rows beyond the prompt are all alike (zeros, embedded), so they are one key here, counted as often
as it stands there: exp(log n + s) = n exp(s). Everything between the linears is in the weights' type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from wancore.transformer.attention import SelfAttention, TextAttention
from wancore.transformer.block import Block
from wancore.transformer.model import WanTransformer, linear_float32
from wancore.transformer.norms import LayerNorm
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


def velocity(
    model: WanTransformer,
    latents: Tensor,
    times: Tensor,
    text: Text,
    run: BlockForward | None = None,
) -> Tensor:
    """Latents [B, C, F, h, w], timesteps of every frame [B, F] -> velocity [B, C, F, h, w] float32.

    `run`: what runs a block, `block_forward` or a compiled one.
    """
    run = run or block_forward
    b, frames = times.shape
    e, e0 = model.embed_time(times.flatten())
    e, e0 = e.view(b, frames, -1), e0.view(b, frames, 6, -1)
    _, q, r = model.config.patch_size
    height, width = latents.shape[-2] // q, latents.shape[-1] // r
    patches = rearrange(latents.to(model.dtype), "b c f (h q) (w r) -> b f (h w) (c q r)", q=q, r=r)
    x = F.linear(patches, model.patch_embedding.weight.flatten(1), model.patch_embedding.bias)
    rotation = rotation_of(model, (frames, height, width), x)
    embedded = model.text_embedding(text.rows.to(model.dtype))
    config = model.config
    around = Around(rotation.cos, rotation.sin, embedded, text.bias, config.num_heads, config.eps)
    for block in model.layers:
        table = (block.modulation.float() + e0)[:, :, :, None].to(x.dtype)
        x = run(x, table, around, Weights.of(block))
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


class Affine(NamedTuple):
    weight: Tensor
    bias: Tensor

    @classmethod
    def of(cls, layer: nn.Module) -> Affine:
        return cls(cast(Tensor, layer.weight), cast(Tensor, layer.bias))


class Attended(NamedTuple):
    """The weights of one attention."""

    q: Affine
    k: Affine
    v: Affine
    o: Affine
    norm_q: Tensor
    norm_k: Tensor

    @classmethod
    def of(cls, layer: SelfAttention | TextAttention) -> Attended:
        q, k, v, o = (Affine.of(part) for part in (layer.q, layer.k, layer.v, layer.o))
        return cls(q, k, v, o, layer.norm_q.weight, layer.norm_k.weight)


class Weights(NamedTuple):
    """The weights of one block, so that one compiled function serves all blocks."""

    own: Attended
    cross: Attended
    norm3: Affine
    up: Affine
    down: Affine

    @classmethod
    def of(cls, block: Block) -> Weights:
        cross, norm3 = cast(TextAttention, block.cross_attn), cast(LayerNorm, block.norm3)
        up, _, down = block.ffn
        return cls(
            Attended.of(block.self_attn), Attended.of(cross), Affine.of(norm3), Affine.of(up), Affine.of(down)
        )


class Around(NamedTuple):
    """What a block reads beside its input; cos, sin [S, d], text [B, L + 1, D], bias [B, 1, 1, L + 1]."""

    cos: Tensor
    sin: Tensor
    text: Tensor
    bias: Tensor
    heads: int
    eps: float


BlockForward = Callable[[Tensor, Tensor, Around, Weights], Tensor]


def block_forward(x: Tensor, table: Tensor, around: Around, weights: Weights) -> Tensor:
    """x [B, F, P, D], table [B, F, 6, 1, D] (modulation plus time) -> [B, F, P, D]."""
    parts = table.unbind(2)
    x = self_attended(x, parts[:3], around, weights.own)
    read = text_read(asked(x, around, weights), around, weights.cross)
    x = x + F.linear(joined(read), *weights.cross.o).view_as(x)
    return fed(x, parts[3:], around.eps, weights)


def self_attended(x: Tensor, parts: Sequence[Tensor], around: Around, own: Attended) -> Tensor:
    """x [B, F, P, D] with its self-attention added; `parts`: shift, scale and gate, broadcastable to it."""
    shift, scale, gate = parts
    heads, eps = around.heads, around.eps
    n = modulated(x, shift, scale, eps).flatten(1, 2)
    q = rotated(split(normed(F.linear(n, *own.q), own.norm_q, eps), heads), around)
    k = rotated(split(normed(F.linear(n, *own.k), own.norm_k, eps), heads), around)
    attended = F.scaled_dot_product_attention(q, k, split(F.linear(n, *own.v), heads))
    return torch.addcmul(x, F.linear(joined(attended), *own.o).view_as(x), gate)


def asked(x: Tensor, around: Around, weights: Weights) -> Tensor:
    """The queries [B, H, S, d] of text attention."""
    n = F.layer_norm(x, x.shape[-1:], *weights.norm3, around.eps).flatten(1, 2)
    return split(normed(F.linear(n, *weights.cross.q), weights.cross.norm_q, around.eps), around.heads)


def text_read(q: Tensor, around: Around, cross: Attended) -> Tensor:
    """What queries [B, H, S, d] read of the text, before the output projection."""
    k = split(normed(F.linear(around.text, *cross.k), cross.norm_k, around.eps), around.heads)
    v = split(F.linear(around.text, *cross.v), around.heads)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=around.bias)


def fed(x: Tensor, parts: Sequence[Tensor], eps: float, weights: Weights) -> Tensor:
    """x [B, F, P, D] with the feed-forward's output added; `parts` as in `self_attended`."""
    shift, scale, gate = parts
    n = modulated(x, shift, scale, eps)
    out = F.linear(F.gelu(F.linear(n, *weights.up), approximate="tanh"), *weights.down)
    return torch.addcmul(x, out, gate)


def modulated(x: Tensor, shift: Tensor, scale: Tensor, eps: float) -> Tensor:
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:], eps=eps), 1 + scale)


def normed(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return F.rms_norm(x, x.shape[-1:], weight, eps)


def split(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def joined(x: Tensor) -> Tensor:
    """[B, H, S, d] -> [B, S, H d]."""
    return x.transpose(1, 2).flatten(2)


def rotated(x: Tensor, around: Around) -> Tensor:
    """Rotates neighbouring channel pairs of x [B, H, S, d]."""
    pairs = x.unflatten(-1, (-1, 2))
    crossed = torch.stack((-pairs[..., 1], pairs[..., 0]), dim=-1).flatten(-2)
    return torch.addcmul(x * around.cos, crossed, around.sin)
