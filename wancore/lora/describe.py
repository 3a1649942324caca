"""What a LoRA file is, from its header: for lists of them. Needs no torch."""

from __future__ import annotations

from pathlib import Path

from wancore.checkpoints.components import component_claims
from wancore.checkpoints.open import open_view
from wancore.checkpoints.prefix import peel_prefix
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError
from wancore.lora.foreign import refuse_foreign
from wancore.lora.keys import parse_key


def describe_lora(path: Path) -> str:
    """In one phrase: `a LoRA file of rank 64 for width 5120`. Raises `CheckpointError` for other files."""
    view = open_view(path)
    refuse_foreign(view)
    kinds = [claim.name for claim in component_claims(peel_prefix(view).view) if claim.role == "lora"]
    if not kinds:
        raise CheckpointError(path, "is no LoRA file")
    phrase = f"a {' and '.join(kinds)} file"
    if found := ranks(view):
        span = f"rank {found[0]}" if found[0] == found[-1] else f"ranks {found[0]} to {found[-1]}"
        phrase += f" of {span}"
    return f"{phrase} for width {width}" if (width := model_width(view)) else phrase


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
