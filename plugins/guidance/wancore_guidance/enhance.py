"""FETA: Enhance-A-Video (arXiv:2502.07508; NUS-HPC-AI-Lab/Enhance-A-Video)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from einops import rearrange
from torch import Tensor, nn

from wancore.sampling.guidance import within
from wancore.sampling.method import Call, Method, Run
from wancore.transformer.adapter import Adapter, Pieces, Values
from wancore.transformer.context import Context
from wancore_guidance.parameters import EnhanceParameters

SLOT = "feta"

#: How rows fall into groups of one token per frame. The second takes the row order for position-major.
GROUPINGS = {"position": "(t s) h d -> s h t d", "wrapper": "(s t) h d -> s h t d"}


def enhancement(q: Tensor, k: Tensor, frames: int, weight: float, grouping: str = "position") -> Tensor:
    """max(1, m (frames + weight)), a float32 scalar, of rotated q and k [frames * s, H, d].

    m is the mean attention of a token to the same position in other frames, over positions and heads.
    """
    q, k = (rearrange(t, GROUPINGS[grouping], t=frames) for t in (q, k))
    attention = ((q * q.shape[-1] ** -0.5) @ k.mT).float().softmax(-1)
    to_itself = attention.diagonal(dim1=-2, dim2=-1).sum()
    others = (attention.sum() - to_itself) / (attention.numel() / frames * (frames - 1))
    return (others * (frames + weight)).clamp(min=1)


@dataclass(frozen=True)
class ClipRows:
    """Rows start .. stop hold the clip's `frames`."""

    start: int
    stop: int
    frames: int


class MeasureFrames(nn.Module):
    """Observes queries and keys of the clip."""

    def __init__(self, parameters: EnhanceParameters) -> None:
        super().__init__()
        self.weight, self.grouping = parameters.weight, parameters.grouping

    def forward(self, q: Tensor, k: Tensor, v: Tensor, clip: ClipRows) -> Tensor | None:
        if clip.frames == 1:
            return None
        rows = slice(clip.start, clip.stop)
        return enhancement(q[rows], k[rows], clip.frames, self.weight, self.grouping)


class Strengthen(nn.Module):
    """Multiplies the projected self-attention."""

    def forward(self, attended: Tensor, clip: ClipRows, score: Tensor | None) -> Tensor:
        return attended if score is None else attended * score.to(attended.dtype)


class FrameEnhancer(Adapter):
    """Measures and strengthens in every block. No weights."""

    lifetime = "window"

    def __init__(self, parameters: EnhanceParameters) -> None:
        super().__init__()
        self.measure, self.strengthen = MeasureFrames(parameters), Strengthen()

    def pieces(self, i: int) -> Pieces:
        return Pieces(observe=self.measure, attn_out=self.strengthen)

    def values(self, context: Context) -> list[Values]:
        canvas = context.layout.canvas
        return [Values(data=ClipRows(*canvas.clip, canvas.frames))] * context.model.config.num_layers


class Enhance(Method):
    """Acts in every pass of the steps in its range."""

    def __init__(self, parameters: EnhanceParameters, run: Run) -> None:
        self.parameters = parameters

    def adapters(self) -> Mapping[str, Adapter]:
        return {SLOT: FrameEnhancer(self.parameters)}

    def data(self, call: Call) -> Mapping[str, Any]:
        acting = within(call.step, self.parameters.start, self.parameters.end)
        return {SLOT: True} if acting else {}
