"""What the model reads of known frames at the beginning of a window."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wancore.engine.tools import Tools
from wancore.plugins.bases import MASK
from wancore.plugins.image_channels import frames_mask, masked_latent


@dataclass(frozen=True)
class Still:
    """Known frames at the beginning of a window.

    `channels` [4 + C, T, h, w]: mask, then the latent of the window with grey for what is not known.
    `tokens` [L, width]: CLIP features of the last known frame; None for a model without an image branch.
    """

    channels: Tensor
    tokens: Tensor | None

    @property
    def latent(self) -> Tensor:
        return self.channels[MASK:]

    def first(self, frames: int) -> Still:
        """The same for a window of fewer pixel frames: the VAE is causal, so it is the beginning."""
        return Still(self.channels[:, : 1 + (frames - 1) // 4], self.tokens)


def still(known: Tensor, frames: int, tools: Tools, tokens: bool = True) -> Still:
    """`known` [3, n, H, W] in [-1, 1], the first of `frames` pixel frames; `tokens`: whether CLIP looks."""
    known = known.to(tools.device)
    clip = known.new_zeros(3, frames, *known.shape[2:])
    clip[:, : known.shape[1]] = known
    latent = tools.vae.encode(clip, still_from=known.shape[1])
    del clip
    mask = known_mask(known.shape[1], frames, latent.shape[2], latent.shape[3])
    features = tools.image_features([known[:, -1]])[0] if tokens else None
    return Still(masked_latent(mask, latent), features)


def known_mask(known: int, frames: int, height: int, width: int) -> Tensor:
    """[4, T, height, width]: 1 for the first `known` of `frames` pixel frames (see `frames_mask`)."""
    return frames_mask((torch.arange(frames) < known).float(), height, width)


@dataclass
class Stills:
    """Stills of single pictures; the last one is kept, so that an image is encoded once per request."""

    tools: Tools
    tokens: bool = True
    _picture: Tensor | None = None
    _made: Still | None = None
    _frames: int = 0

    def of(self, picture: Tensor, frames: int) -> Still:
        """`picture` [3, H, W] in [-1, 1] as the first of `frames` pixel frames."""
        if self._made is None or self._picture is not picture or frames > self._frames:
            self._made = still(picture[:, None], frames, self.tools, self.tokens)
            self._picture, self._frames = picture, frames
        return self._made if frames == self._frames else self._made.first(frames)
