"""From the pictures to what the transformer reads beside the noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from wancore.engine.tools import Tools
from wancore.media.convert import from_uint8
from wancore.plugins.family import Base, Channels, Conditioning, Lead
from wancore.transformer.canvas import Canvas
from wancore_magref.canvas import Collage, collage, latent_mask, packed_mask


def prepare(
    prompt: str, roles: Sequence[str], places: Sequence[int], base: Base, lead: Lead, tools: Tools
) -> Conditioning:
    """The canvas as first frame of the video, the mask of what is covered, and its image tokens."""
    images = [np.asarray(tools.image(role)) for role in roles]
    made = collage(images, places, lead.width, lead.height)
    positive, negative = tools.text([prompt, lead.negative_prompt])
    stride, patch = base.spatial_stride, base.transformer.patch_size
    latent_frames = 2 + (lead.frames - 1) // base.temporal_stride  # one more, whose frames are dropped
    grid = Canvas(latent_frames, lead.height // stride // patch[1], lead.width // stride // patch[2])
    picture = from_uint8(torch.from_numpy(made.pixels)[None])
    return Conditioning(
        grid,
        Channels(channels(made, picture, latent_frames, base, tools)),
        texts={"positive": positive, "negative": negative},
        images={"on": tools.image_features([picture[:, 0]])[0]},
    )


def channels(made: Collage, picture: Tensor, frames: int, base: Base, tools: Tools) -> Tensor:
    """[4 + C, frames, h, w]: the mask, then the latent of the canvas [3, 1, H, W] and of grey after it."""
    grey = torch.zeros(3, (frames - 1) * base.temporal_stride, *picture.shape[2:])
    latent = tools.vae.encode(torch.cat((picture, grey), dim=1).to(tools.device))
    mask = packed_mask(latent_mask(made.covered, base.spatial_stride), frames)
    return torch.cat((mask.to(latent), latent))
