"""What the base models read beside the noise: text, image latents and their masks, image tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wancore.engine.tools import Tools
from wancore.plugins.conditioning import Channels, Conditioning
from wancore.plugins.family import Base, Lead
from wancore.plugins.image_channels import masked_latent
from wancore.plugins.texts import guided_texts
from wancore.request import Request
from wancore.sampling.clamp import KeepFrames
from wancore.transformer.canvas import Canvas, Clock
from wancore_wan.images import covered, fitted_like, stretched, to_pixels
from wancore_wan.masks import known_frames
from wancore_wan.variants import Variant


def prepare(request: Request, variant: Variant, base: Base, lead: Lead, tools: Tools) -> Conditioning:
    """Raises `InvalidInput` for a file that is no picture."""
    texts = guided_texts(request, lead, tools)
    canvas = base.canvas(lead.width, lead.height, lead.frames)
    if "image" not in request.inputs:
        return Conditioning(canvas, texts=texts)
    if variant.image == "optional":
        return first_frame_kept(canvas, texts, lead, tools)
    images = {"on": image_tokens(variant, tools)} if variant.clip else {}
    channels = Channels(image_channels(variant, lead, tools), sliced)
    return Conditioning(canvas, channels, texts=texts, images=images)


def image_channels(variant: Variant, lead: Lead, tools: Tools) -> Tensor:
    """[4 + C, T, h, w]: mask of the known frames, then the latent of the video with grey for the others."""
    first = to_pixels(tools.image("image"))
    video = torch.zeros(3, lead.frames, lead.height, lead.width)
    video[:, 0] = stretched(first, lead.height, lead.width)
    if variant.last_image:
        last = to_pixels(tools.image("last_image"))
        video[:, -1] = fitted_like(last, (first.shape[1], first.shape[2]), lead.height, lead.width)
    still_from = None if variant.last_image else 1
    latent = tools.vae.encode(video.to(tools.device), still_from=still_from)
    mask = known_frames(lead.frames, latent.shape[2], latent.shape[3], last=variant.last_image)
    return masked_latent(mask, latent)


def sliced(channels: Tensor, frames: Sequence[int]) -> Tensor:
    """Every overlapping window starts from the given image."""
    part = channels[:, list(frames)]
    part[:, 0] = channels[:, 0]
    return part


def image_tokens(variant: Variant, tools: Tools) -> Tensor:
    """CLIP features [L, width] of the first image, followed by those of the last, at their own sizes."""
    roles = ["image", "last_image"] if variant.last_image else ["image"]
    return tools.image_features([to_pixels(tools.image(role)) for role in roles]).flatten(0, 1)


def first_frame_kept(canvas: Canvas, texts: dict[str, Tensor], lead: Lead, tools: Tools) -> Conditioning:
    """The image is latent frame 0 of the result: clean, at timestep 0, never stepped."""
    pixels = covered(tools.image("image"), lead.height, lead.width)
    known = tools.vae.encode(pixels[:, None].to(tools.device))
    level = torch.ones(canvas.total, dtype=torch.int64)
    level[0] = 0
    clock = Clock(level, torch.tensor([0.0, 1.0], dtype=torch.float64)) if canvas.total > 1 else None
    return Conditioning(canvas, clock=clock, texts=texts, hooks=(KeepFrames(known),))
