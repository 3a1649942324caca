"""Stand-In: keys and values of a face, recorded once, that the canvas attends to."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from wancore.transformer.adapter import Adapter, Values
from wancore.transformer.canvas import Canvas, Segment
from wancore.transformer.context import Context
from wancore.transformer.plan import Memory
from wancore.transformer.record import LowRank, record
from wancore.transformer.rope import Frequencies, grid_positions


class Pair(nn.Module):
    def __init__(self, dim: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Linear(dim, rank, bias=False)
        self.up = nn.Linear(rank, dim, bias=False)


class FaceBlock(nn.Module):
    def __init__(self, dim: int, rank: int) -> None:
        super().__init__()
        self.self_attn = nn.ModuleDict({f"{n}_loras": Pair(dim, rank) for n in "qkv"})


class StandIn(Adapter):
    """Data: the face latent [16, 1, h, w]."""

    lifetime = "expert"

    def __init__(self, dim: int, layers: int, rank: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(FaceBlock(dim, rank) for _ in range(layers))

    def values(self, context: Context) -> Sequence[Values]:
        tokens = context.model.embed(context.data)
        height, width = context.data.shape[2] // 2, context.data.shape[3] // 2

        def rope(canvas: Canvas, frequencies: Frequencies) -> Tensor:
            start = (-1, canvas.height, canvas.width)
            return frequencies.factors(grid_positions(1, height, width, start))

        face = Segment("face", tokens, rope, t=0.0, text=False)
        recorded = record(
            context.model, face, context.layout.canvas, "kv",
            low_rank=self.low_rank(), frequencies=context.layout.frequencies,
        )  # fmt: skip
        return [Values(memory=Memory(r.k, r.v)) for r in recorded]

    def low_rank(self) -> dict[str, LowRank]:
        return {
            f"blocks.{i}.self_attn.{n}": LowRank(pair.down.weight, pair.up.weight)
            for i, block in enumerate(self.blocks)
            for n in "qkv"
            for pair in (block.self_attn[f"{n}_loras"],)
        }
