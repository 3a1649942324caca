"""The 96 channels that VACE reads: latents of what stays and of what changes, and the mask.

Source: ali-vilab/VACE `vace/models/wan/wan_vace.py`, `vace_encode_frames`, `vace_encode_masks`,
`vace_latent`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor

from wancore.engine.tools import VideoCodec


def context_of(vae: VideoCodec, frames: Tensor, mask: Tensor, references: Sequence[Tensor]) -> Tensor:
    """[2C + 64, n + T, h, w] from frames [3, F, H, W] in [-1, 1], mask [1, F, H, W] in 0..1 (1: generate)
    and n references [3, 1, H, W] in [-1, 1], which come first, one latent frame each."""
    generated = (mask > 0.5).to(frames)
    latents = torch.cat((vae.encode(frames * (1 - generated)), vae.encode(frames * generated)))
    packed = packed_mask(mask, vae.spatial_stride, latents.shape[1]).to(latents)
    video = torch.cat((latents, packed))
    return torch.cat([*(reference_context(vae, r, len(video)) for r in references), video], dim=1)


def reference_context(vae: VideoCodec, reference: Tensor, channels: int) -> Tensor:
    """[channels, 1, h, w]: the latent of one picture; nothing of it is to be generated."""
    latent = vae.encode(reference)
    nothing = latent.new_zeros(channels - len(latent), *latent.shape[1:])
    return torch.cat((latent, nothing))


def packed_mask(mask: Tensor, stride: int, frames: int) -> Tensor:
    """[1, F, H, W] -> [stride * stride, frames, h, w]: the pixels of each latent one, the nearest frames."""
    cells = rearrange(mask[0], "f (h p) (w q) -> (p q) f h w", p=stride, q=stride)
    nearest = ((torch.arange(frames) + 0.5) * mask.shape[1] / frames).long()
    return cells[:, nearest]


def padded_front(context: Tensor, frames: int) -> Tensor:
    """[C, n, h, w] -> [C, frames, h, w] with empty frames in front."""
    empty = context.new_zeros(len(context), frames - context.shape[1], *context.shape[2:])
    return torch.cat((empty, context), dim=1)
