"""A rough picture of a latent without any network: three weighted sums of its channels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import torch
from torch import Tensor

from wancore.errors import InvalidInput


def latent_rgb(latent: Tensor, *, clamp: bool = True) -> Tensor:
    """Normalised `latent` [C, T, h, w] -> float32 [T, h, w, 3], RGB in [0, 1] if `clamp`.

    Factors for 16 and 48 channels from ComfyUI `comfy/latent_formats.py` (Wan21, Wan22).
    Raises `InvalidInput` for another number of channels.
    """
    table = factors()
    if latent.ndim != 4 or str(latent.shape[0]) not in table:
        raise InvalidInput(
            "latent", tuple(latent.shape), f"shape [{' or '.join(table)}, frames, height, width]"
        )
    known = table[str(latent.shape[0])]
    weight = torch.tensor(known["factors"], device=latent.device)  # [C, 3]
    bias = torch.tensor(known["bias"], device=latent.device)  # [3]
    rgb = (torch.einsum("cthw,cr->thwr", latent.float(), weight) + bias + 1) / 2
    return rgb.clamp_(0, 1) if clamp else rgb


@cache
def factors() -> Mapping[str, Any]:
    text = files("wancore.vae").joinpath("latent_rgb.json").read_text(encoding="utf-8")
    return json.loads(text)
