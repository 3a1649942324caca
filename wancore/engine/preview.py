"""Small frames of how the clip looks so far."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from wancore.transformer.canvas import Canvas
from wancore.vae.latent_rgb import latent_rgb
from wancore.vae.preview import PreviewDecoder


def preview(estimate: Tensor, canvas: Canvas, decoder: PreviewDecoder | None) -> NDArray[Any]:
    """The model's clean estimate [C, F, h, w] of the canvas -> uint8 [n, H, W, 3] of the clip.

    By the preview decoder where the model has one (every frame, full size), else by colour alone
    (a picture of latent size for each latent frame).
    """
    clip = estimate[:, canvas.head : canvas.head + canvas.frames]
    with torch.no_grad():
        rgb = decoder.decode(clip).permute(1, 2, 3, 0) if decoder is not None else latent_rgb(clip)
        return (rgb * 255).round().to(torch.uint8).cpu().numpy()
