"""From the pictures to what the transformer reads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from wancore.engine.tools import Tools
from wancore.media.convert import one_frame
from wancore.media.letterbox import letterboxed
from wancore.plugins.conditioning import Conditioning
from wancore.plugins.family import Base, Lead
from wancore.plugins.texts import guided_texts
from wancore.request import Request
from wancore_phantom.references import sources


def prepare(request: Request, roles: Sequence[str], base: Base, lead: Lead, tools: Tools) -> Conditioning:
    """Each picture is encoded alone, as a video of one frame.

    Raises `InvalidInput` for a file that is no picture.
    """
    texts = guided_texts(request, lead, tools)
    boxed = [letterboxed(np.asarray(tools.image(role)), lead.width, lead.height) for role in roles]
    latents = torch.cat([tools.vae.encode(one_frame(p).to(tools.device)) for p in boxed], dim=1)
    canvas = base.canvas(lead.width, lead.height, lead.frames, noise_frames=len(roles))
    return Conditioning(canvas, texts=texts, segments=sources(latents))
