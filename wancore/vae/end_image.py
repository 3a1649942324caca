"""Videos with a given last image: it is a latent frame of its own, encoded and decoded alone.

A mode of the ComfyUI wrapper (rookiestar28/ComfyUI-WanVideoWrapper `wanvideo/wan_video_vae.py`)
for image-to-video models that were not trained on a last image.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wancore.errors import InvalidInput
from wancore.vae.vae import Vae


def encode_with_end(vae: Vae, video: Tensor) -> Tensor:
    """`video` [3, 1 + 4k + 1, H, W] in [-1, 1] -> normalised latents [C, 1 + k + 1, h, w].

    The end image is last. Raises `InvalidInput` as `Vae.encode` does.
    """
    return torch.cat([vae.encode(video[:, :-1]), vae.encode(video[:, -1:])], dim=1)


def decode_with_end(vae: Vae, latent: Tensor, *, clamp: bool = True) -> Tensor:
    """Normalised `latent` [C, T, h, w] -> video [3, 1 + 4(T - 2) + 1, H, W], the end image last.

    Raises `InvalidInput` for fewer than two latent frames or a wrong shape.
    """
    if latent.ndim != 4 or latent.shape[1] < 2:
        raise InvalidInput(
            "latent", tuple(latent.shape), f"shape [{vae.latent_channels}, 2 or more, height, width]"
        )
    clip = vae.decode(latent[:, :-1], clamp=clamp)
    end = vae.decode(latent[:, -1:], clamp=clamp)
    return torch.cat([clip, end], dim=1)
