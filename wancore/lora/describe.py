"""What LoRA files are, from their headers: for lists of them. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from wancore.checkpoints.components import component_claims
from wancore.checkpoints.inspect import Looked
from wancore.checkpoints.open import open_view
from wancore.checkpoints.stored import TensorInfo
from wancore.checkpoints.twins import Twins
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError
from wancore.lora.foreign import refuse_known
from wancore.lora.keys import parse_key

MANY = 256  # headers whose phrase is remembered


class Describer:
    """Many files one after another; those with the same header are looked at once."""

    def __init__(self) -> None:
        self._twins = Twins()
        self._phrases: dict[int, tuple[Mapping[str, TensorInfo], str]] = {}

    def describe(self, path: Path) -> str:
        """`a LoRA file of rank 64 for width 5120`. Raises `CheckpointError` for other files."""
        looked = self._twins.looked(path) or Looked.of(open_view(path))
        refuse_known(looked.canonical)
        key = id(looked.view.entries)
        if key not in self._phrases:
            if len(self._phrases) >= MANY:
                self._phrases.clear()
            self._phrases[key] = looked.view.entries, phrase_for(looked)
        return self._phrases[key][1]


def phrase_for(looked: Looked) -> str:
    kinds = [claim.name for claim in component_claims(looked.shown) if claim.role == "lora"]
    if not kinds:
        raise CheckpointError(looked.view.path, "is no LoRA file")
    phrase = f"a {' and '.join(kinds)} file"
    if found := ranks(looked.view):
        span = f"rank {found[0]}" if found[0] == found[-1] else f"ranks {found[0]} to {found[-1]}"
        phrase += f" of {span}"
    return f"{phrase} for width {width}" if (width := model_width(looked.view)) else phrase


def ranks(view: FileView) -> list[int]:
    """Rising; of every low-rank pair."""
    downs = (name for name in view.entries if (key := parse_key(name)) is not None and key.role == "down")
    return sorted({shape[0] for name in downs if (shape := view.shape(name))})


def model_width(view: FileView) -> int | None:
    """What the queries of self-attention read; None where the file does not change them."""
    for name in view.entries:
        key = parse_key(name)
        stem = key.stem.replace("_", ".") if key is not None and key.role == "down" else ""
        if stem.endswith(("self.attn.q", "attn1.to.q")) and len(view.shape(name)) == 2:
            return view.shape(name)[1]
    return None
