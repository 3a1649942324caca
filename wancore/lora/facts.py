"""What a LoRA file changes, from its header. Needs no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from wancore.checkpoints.names import Names, remembered
from wancore.checkpoints.view import FileView
from wancore.lora.keys import parse_key

#: Parts of a transformer by what their names hold, dots for underscores: upstream's and diffusers' names.
PARTS = (
    ("self-attention", re.compile(r"\.(self\.attn|attn1)\.")),
    ("cross-attention", re.compile(r"\.(cross\.attn|attn2)\.")),
    ("feed-forward", re.compile(r"\.ffn\.")),
)
OTHER = "other layers"
#: Self-attention's, whose input is as wide as the model.
QUERIES = ("self.attn.q", "attn1.to.q")
BLOCK = re.compile(r"(?:^|\.)blocks\.(\d+)\.")


@dataclass(frozen=True)
class LoraFacts:
    """`ranks` rising, () without low-rank pairs; `width`: of the transformer, None where nothing tells it.

    `parts`: what it acts on, of how many `blocks` (0: outside of them only).
    """

    ranks: tuple[int, ...]
    width: int | None
    parts: tuple[str, ...]
    blocks: int

    @classmethod
    def of(cls, view: FileView) -> LoraFacts:
        named = named_in(view.names)
        shapes = {view.shape(name) for name in named.downs}
        width = view.shape(named.query) if named.query else ()
        return cls(
            ranks=tuple(sorted({shape[0] for shape in shapes if shape})),
            width=width[1] if len(width) == 2 else None,
            parts=named.parts,
            blocks=named.blocks,
        )

    @property
    def phrase(self) -> str:
        """`of rank 64 for width 5120, on self-attention and feed-forward (40 blocks)`."""
        said = []
        if self.ranks:
            low, high = self.ranks[0], self.ranks[-1]
            said.append(f"of rank {low}" if low == high else f"of ranks {low} to {high}")
        if self.width:
            said.append(f"for width {self.width}")
        on = f"on {self.touched}" if self.touched else ""
        return ", ".join(filter(None, (" ".join(said), on)))

    @property
    def touched(self) -> str:
        """`self-attention and feed-forward (40 blocks)`; '' where no key tells."""
        named = " and ".join(filter(None, (", ".join(self.parts[:-1]), *self.parts[-1:])))
        return f"{named} ({self.blocks} block{'s' * (self.blocks > 1)})" if self.blocks else named


@dataclass(frozen=True)
class Named:
    """What names alone tell. `downs`: of the tensors that come first in pairs; `query`: the one of a
    self-attention's queries, or ''."""

    downs: tuple[str, ...]
    query: str
    parts: tuple[str, ...]
    blocks: int


@remembered
def named_in(names: Names) -> Named:
    keys = [key for name in names if (key := parse_key(name)) is not None]
    downs = [key for key in keys if key.role == "down"]
    stems = {dotted(key.stem) for key in keys}
    return Named(
        downs=tuple(key.name for key in downs),
        query=next((key.name for key in downs if dotted(key.stem).endswith(QUERIES)), ""),
        parts=parts_of(stems),
        blocks=len({match[1] for stem in stems if (match := BLOCK.search(stem))}),
    )


def dotted(stem: str) -> str:
    return stem.replace("_", ".")


def parts_of(stems: Iterable[str]) -> tuple[str, ...]:
    """In the order of a block, what is outside of it or unknown last."""
    found = {part_of(stem) for stem in stems}
    return tuple(name for name in (*(name for name, _ in PARTS), OTHER) if name in found)


def part_of(stem: str) -> str:
    return next((name for name, pattern in PARTS if pattern.search(f"{stem}.")), OTHER)
