"""The channels in which Wan's image-to-video models read known pictures.

Source: Wan-Video/Wan2.1, `wan/image2video.py`.
"""

from __future__ import annotations

import torch
from einops import rearrange, repeat
from torch import Tensor

from wancore.plugins.bases import MASK


def frames_mask(known: Tensor, height: int, width: int) -> Tensor:
    """known [1 + 4k], 1 for each pixel frame that is given, 0 for the others -> [4, 1 + k, height, width].

    Latent frame 0 stands for pixel frame 0 alone, four times over, every other one for four frames;
    `height` and `width` are the latent's.
    """
    packed = torch.cat((known[:1].repeat(MASK), known[1:]))
    return repeat(rearrange(packed, "(t four) -> four t", four=MASK), "c t -> c t h w", h=height, w=width)


def masked_latent(mask: Tensor, latent: Tensor) -> Tensor:
    """mask [4, T, h, w], latent [C, T, h, w] -> [4 + C, T, h, w], as and where the latent is."""
    return torch.cat((mask.to(latent), latent))
