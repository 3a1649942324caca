"""The face's forward for batches: the same weights as the product's transformer and audio adapter."""

from __future__ import annotations

from typing import cast

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor
from wancore_talking.adapter import TalkingAdapter
from wancore_talking.attention import AudioBlock

from tools.tiny.learn.batched import (
    Around,
    Text,
    Weights,
    asked,
    fed,
    joined,
    modulated,
    normed,
    rotation_of,
    self_attended,
    split,
    text_read,
)
from wancore.transformer.attention import TextAttention
from wancore.transformer.block import Block
from wancore.transformer.model import WanTransformer, linear_float32


def face_velocity(
    model: WanTransformer,
    adapter: TalkingAdapter,
    channels: Tensor,
    times: Tensor,
    text: Text,
    image: Tensor,
    heard: Tensor,
) -> Tensor:
    """`channels` [B, 36, F, h, w], timesteps [B], image features [B, L, C], audio windows [B, 1 + 4 (F - 1),
    5, layers, width] -> velocity [B, 16, F, h, w] float32."""
    config = model.config
    b, frames = len(channels), channels.shape[2]
    _, q, r = config.patch_size
    height, width = channels.shape[-2] // q, channels.shape[-1] // r
    e, e0 = model.embed_time(times)
    patches = rearrange(channels.to(model.dtype), "b c f (h q) (w r) -> b f (h w) (c q r)", q=q, r=r)
    x = F.linear(patches, model.patch_embedding.weight.flatten(1), model.patch_embedding.bias)
    rotation = rotation_of(model, (frames, height, width), x)
    words = model.text_embedding(text.rows.to(model.dtype))
    around = Around(rotation.cos, rotation.sin, words, text.bias, config.num_heads, config.eps)
    seen = model.img_emb(image.to(model.dtype))
    tokens = adapter.audio_proj(heard.to(model.dtype))
    tokens = rearrange(tokens, "f (b n) c -> (b f) n c", b=b)
    for block, audio in zip(model.layers, adapter.audio_blocks, strict=True):
        table = (block.modulation.float() + e0)[:, None, :, None].to(x.dtype)
        x = face_block(block, audio, x, table, around, seen, tokens)
    shift, scale = (model.head.modulation.float() + e[:, None]).unbind(1)
    n = modulated(x.float(), shift[:, None, None], scale[:, None, None], config.eps)
    pixels = linear_float32(n, model.head.head)
    return rearrange(pixels, "b f (h w) (q r c) -> b c f (h q) (w r)", h=height, w=width, q=q, r=r)


def face_block(
    block: Block, audio: AudioBlock, x: Tensor, table: Tensor, around: Around, seen: Tensor, tokens: Tensor
) -> Tensor:
    """x [B, F, P, D], table [B, 1, 6, 1, D], seen [B, L, D], audio tokens [B F, n, C] -> [B, F, P, D]."""
    parts = table.unbind(2)
    heads, eps, weights = around.heads, around.eps, Weights.of(block)
    x = self_attended(x, parts[:3], around, weights.own)
    q = asked(x, around, weights)
    read = text_read(q, around, weights.cross)
    looking = cast(TextAttention, block.cross_attn)
    k = split(normed(looking.k_img(seen), looking.norm_k_img.weight, eps), heads)
    read = read + F.scaled_dot_product_attention(q, k, split(looking.v_img(seen), heads))
    x = x + F.linear(joined(read), *weights.cross.o).view_as(x)
    x = x + listened(audio, x, tokens, heads)
    return fed(x, parts[3:], eps, weights)


def listened(audio: AudioBlock, x: Tensor, tokens: Tensor, heads: int) -> Tensor:
    """What every latent frame's rows hear."""
    attention, norm = audio.audio_cross_attn, audio.norm_x
    n = F.layer_norm(x, x.shape[-1:], norm.weight, norm.bias, norm.eps).flatten(0, 1)
    q = split(attention.q_linear(n), heads)
    k, v = attention.kv_linear(tokens).chunk(2, dim=-1)
    heard = F.scaled_dot_product_attention(q, split(k, heads), split(v, heads))
    out: Tensor = attention.proj(joined(heard)).view_as(x)
    return out
