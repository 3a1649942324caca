"""From the pictures to what the transformer reads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from wancore.engine.tools import Tools
from wancore.media.convert import from_uint8
from wancore.plugins.family import Base, Conditioning, Lead
from wancore.transformer.canvas import Canvas
from wancore_phantom.references import letterboxed, sources


def prepare(prompt: str, roles: Sequence[str], base: Base, lead: Lead, tools: Tools) -> Conditioning:
    """Each picture is encoded alone, as a video of one frame."""
    positive, negative = tools.text([prompt, lead.negative_prompt])
    boxed = [letterboxed(np.asarray(tools.image(role)), lead.width, lead.height) for role in roles]
    frames = [from_uint8(torch.from_numpy(picture)[None]).to(tools.device) for picture in boxed]
    latents = torch.cat([tools.vae.encode(frame) for frame in frames], dim=1)
    patch = base.transformer.patch_size
    canvas = Canvas(
        frames=1 + (lead.frames - 1) // base.temporal_stride,
        height=lead.height // base.spatial_stride // patch[1],
        width=lead.width // base.spatial_stride // patch[2],
        noise_frames=len(roles),
    )
    texts = {"positive": positive, "negative": negative}
    return Conditioning(canvas, texts=texts, segments=sources(latents))
