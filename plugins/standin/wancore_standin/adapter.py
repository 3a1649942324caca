"""Stand-In's network: keys and values of a face, recorded once, that the video attends to.

Source: WeChatCV/Stand-In `models/wan_video_dit.py`. In the recording, and there alone, low-rank weights are
added to the projections of self-attention.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from wancore.transformer.adapter import Adapter, Values
from wancore.transformer.canvas import Canvas, Segment
from wancore.transformer.context import Context
from wancore.transformer.plan import Memory
from wancore.transformer.record import LowRank, record
from wancore.transformer.rope import Frequencies, grid_positions

PROJECTIONS = ("q", "k", "v")


@dataclass(frozen=True)
class Face:
    """`latent` [C, 1, h, w] of the face's picture; `strength`: of the low-rank weights."""

    latent: Tensor
    strength: float = 1.0


class Pair(nn.Module):
    def __init__(self, dim: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Linear(dim, rank, bias=False)
        self.up = nn.Linear(rank, dim, bias=False)


class FaceBlock(nn.Module):
    """What one block has beside the base's, under its names in the file."""

    def __init__(self, dim: int, rank: int) -> None:
        super().__init__()
        self.self_attn = nn.ModuleDict({f"{name}_loras": Pair(dim, rank) for name in PROJECTIONS})

    def pair(self, name: str) -> Pair:
        return cast(Pair, self.self_attn[f"{name}_loras"])


class StandIn(Adapter):
    lifetime = "expert"

    def __init__(self, dim: int, layers: int, rank: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(FaceBlock(dim, rank) for _ in range(layers))

    def values(self, context: Context) -> Sequence[Values]:
        face: Face = context.data
        latent = face.latent.to(context.x)
        recorded = record(
            context.model, segment(latent, context.model.embed(latent)), context.layout.canvas, "kv",
            low_rank=self.low_rank(face.strength), frequencies=context.layout.frequencies,
        )  # fmt: skip
        return [Values(memory=Memory(r.k, r.v)) for r in recorded if r.k is not None and r.v is not None]

    def low_rank(self, strength: float) -> dict[str, LowRank]:
        blocks = cast(list[FaceBlock], list(self.blocks))
        pairs = {(i, name): block.pair(name) for i, block in enumerate(blocks) for name in PROJECTIONS}
        return {
            f"blocks.{i}.self_attn.{name}": LowRank(pair.down.weight, pair.up.weight * strength)
            for (i, name), pair in pairs.items()
        }


def segment(latent: Tensor, tokens: Tensor) -> Segment:
    """The face at time -1, beyond the video's last row and column, at timestep 0; it reads no text."""
    height, width = latent.shape[2] // 2, latent.shape[3] // 2

    def rope(canvas: Canvas, frequencies: Frequencies) -> Tensor:
        start = (canvas.origin - 1, canvas.height, canvas.width)
        return frequencies.factors(grid_positions(1, height, width, start))

    return Segment("face", tokens, rope, t=0.0, text=False)
