"""From the pictures to what the transformer reads beside the noise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from wancore.engine.tools import Tools
from wancore.media.convert import one_frame
from wancore.plugins.conditioning import Channels, Conditioning
from wancore.plugins.family import Base, Lead
from wancore.plugins.image_channels import masked_latent
from wancore.plugins.texts import guided_texts
from wancore.request import Request
from wancore_magref.canvas import Collage, collage, latent_mask, packed_mask


def prepare(
    request: Request, placed: Mapping[str, int], base: Base, lead: Lead, tools: Tools
) -> Conditioning:
    """The canvas as first frame of the video, the mask of what is covered, and its image tokens.

    `placed`: role of each picture -> its block. Raises `InvalidInput` for a file that is no picture.
    """
    images = [np.asarray(tools.image(role)) for role in placed]
    made = collage(images, list(placed.values()), lead.width, lead.height)
    texts = guided_texts(request, lead, tools)
    canvas = base.canvas(lead.width, lead.height, lead.frames + base.temporal_stride)  # those are dropped
    picture = one_frame(made.pixels)
    return Conditioning(
        canvas,
        Channels(channels(made, picture, canvas.frames, base, tools)),
        texts=texts,
        images={"on": tools.image_features([picture[:, 0]])[0]},
    )


def channels(made: Collage, picture: Tensor, frames: int, base: Base, tools: Tools) -> Tensor:
    """[4 + C, frames, h, w]: the mask, then the latent of the canvas [3, 1, H, W] and of grey after it."""
    grey = torch.zeros(3, (frames - 1) * base.temporal_stride, *picture.shape[2:])
    video = torch.cat((picture, grey), dim=1).to(tools.device)
    latent = tools.vae.encode(video, still_from=picture.shape[1])
    return masked_latent(packed_mask(latent_mask(made.covered, base.spatial_stride), frames), latent)
