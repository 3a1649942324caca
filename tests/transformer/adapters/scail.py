"""SCAIL: references and a half-size pose video as segments; identity masks added to their tokens."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from wancore.transformer.adapter import Adapter
from wancore.transformer.canvas import Along, Canvas, Segment
from wancore.transformer.config import TransformerConfig
from wancore.transformer.model import WanTransformer
from wancore.transformer.rope import Frequencies, grid_positions
from wancore.transformer.rows import Rows

ASIDE = 120  # rows or columns away from the video: no position of one meets one of the other


@dataclass(frozen=True)
class Start:
    """Positions (time, row, column) at which each part begins."""

    extra: tuple[int, int, int]
    reference: tuple[int, int, int]
    video: tuple[int, int, int]
    pose: tuple[int, int, int]

    @classmethod
    def of(cls, extras: int, replace: bool) -> Start:
        first = extras if replace else extras + 1
        aside = ASIDE if replace else 0
        return cls((0, aside, 0), (extras, aside, 0), (first, 0, 0), (first, 0, ASIDE))


@dataclass(frozen=True)
class Masks:
    """Identity maps [28, frames, h, w]: of the references, of the pose video at half size."""

    reference: Tensor
    driving: Tensor
    extra: Tensor | None = None


class Scail(Adapter):
    """Data: the number of video rows (version 2), nothing (version 1)."""

    def __init__(self, config: TransformerConfig, mask_channels: int | None) -> None:
        super().__init__()
        self.patch_embedding_pose = nn.Conv3d(config.in_dim, config.dim, config.patch_size, config.patch_size)
        self.patch_embedding_mask = (
            nn.Conv3d(mask_channels, config.dim, config.patch_size, config.patch_size)
            if mask_channels
            else None
        )

    def tokens(self, data: int) -> Rows | None:
        """The video has no identity: an all-zero mask, of which the bias remains."""
        if self.patch_embedding_mask is None:
            return None
        return Rows(self.patch_embedding_mask.bias.expand(data, -1))

    def segments(
        self,
        model: WanTransformer,
        start: Start,
        reference: Tensor,
        pose: Tensor,
        extra: Tensor | None = None,
        masks: Masks | None = None,
    ) -> tuple[Segment, ...]:
        """Latents [16, frames, h, w] of the reference, the pose (half size) and further references."""
        parts = [
            Segment(
                "reference",
                self.masked(model.embed(marked(reference)), masks and masks.reference),
                full(1, start.reference),
            ),
            Segment(
                "pose",
                self.masked(flat(self.patch_embedding_pose(marked(pose)[None])), masks and masks.driving),
                pooled(start.pose),
                along=Along.CLIP,
            ),
        ]
        if extra is not None:
            tokens = self.masked(model.embed(marked(extra)), masks and masks.extra)
            parts.append(Segment("extra", tokens, full(extra.shape[1], start.extra)))
        return tuple(parts)

    def masked(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        if mask is None or self.patch_embedding_mask is None:
            return tokens
        return tokens + flat(self.patch_embedding_mask(mask[None]))


def marked(latents: Tensor) -> Tensor:
    """Clean latents carry ones in the four mask channels."""
    return torch.cat((latents, torch.ones_like(latents[:4])))


def flat(x: Tensor) -> Tensor:
    return rearrange(x, "1 d f h w -> (f h w) d")


def full(frames: int, start: tuple[int, int, int]):
    def rope(canvas: Canvas, frequencies: Frequencies) -> Tensor:
        return frequencies.factors(grid_positions(frames, canvas.height, canvas.width, start))

    return rope


def pooled(start: tuple[int, int, int]):
    """Factors of the full grid, averaged over 2 x 2 tokens."""

    def rope(canvas: Canvas, frequencies: Frequencies) -> Tensor:
        factors = frequencies.factors(grid_positions(canvas.frames, canvas.height, canvas.width, start))
        grid = rearrange(
            torch.view_as_real(factors), "(f h w) d c -> f (d c) h w", h=canvas.height, w=canvas.width
        )
        means = rearrange(F.avg_pool2d(grid, 2), "f (d c) h w -> (f h w) d c", c=2)
        return torch.view_as_complex(means.contiguous())

    return rope
