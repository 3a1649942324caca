"""Prompts to text contexts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch

from wancore.checkpoints import FileView
from wancore.checkpoints.components import component_claims
from wancore.checkpoints.open import open_view
from wancore.encoders.build import as_view
from wancore.encoders.prompts import clean_prompt
from wancore.encoders.tokenizer import MAX_TOKENS, Tokenizer, load_tokenizer
from wancore.encoders.umt5 import load_umt5, real_tokens
from wancore.encoders.umt5_network import Umt5
from wancore.errors import CheckpointError

logger = logging.getLogger(__name__)

# Where the tokenizer lies, seen from the encoder's own folder, in the layouts people have.
TOKENIZER_PLACES = (".", "../tokenizer", "google/umt5-xxl", "../google/umt5-xxl")


@dataclass(frozen=True)
class TextEncoder:
    """A text encoder with its tokenizer."""

    model: Umt5
    tokenizer: Tokenizer

    def encode(self, prompts: Sequence[str], max_tokens: int = MAX_TOKENS) -> list[torch.Tensor]:
        """One context [n_tokens, width] per prompt: the encoder's output at its real tokens, `</s>` included.

        Each prompt is cleaned first and cut to `max_tokens`. Padding is left to the transformer,
        which wants zero rows and not what the encoder puts out for padding.
        """
        return self.encode_tokens([self.tokenizer(clean_prompt(prompt), max_tokens) for prompt in prompts])

    def encode_tokens(self, tokens: Sequence[Sequence[int]]) -> list[torch.Tensor]:
        """One context [n, width] for each list of n ids; together in one batch."""
        if not tokens:
            return []
        longest = max(len(ids) for ids in tokens)
        rows = torch.tensor([[*ids, *[0] * (longest - len(ids))] for ids in tokens])  # [B, longest]
        mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids in tokens])
        return self.encode_ids(rows, mask)

    def encode_ids(self, ids: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
        """ids, mask [B, L] (1 on real tokens) -> B contexts [n, width]."""
        states = self.model(ids.to(self.model.device), mask.to(self.model.device))
        return real_tokens(states, mask)

    def to(self, device: torch.device | str) -> Self:
        """Moves the weights."""
        self.model.to(device)
        return self


def load_text_encoder(
    source: FileView | Path | str,
    tokenizer: Tokenizer | Path | str | None = None,
    *,
    dtype: torch.dtype = torch.bfloat16,
    device: torch.device | str = "cpu",
) -> TextEncoder:
    """A text encoder from a file or folder, in the upstream, Hugging Face, ComfyUI or llama.cpp layout.

    `tokenizer`: a tokenizer, or where one lies; None takes the one inside the file (`spiece_model`),
    else one beside it. Raises `CheckpointError`.
    """
    view = as_view(source)
    if not isinstance(tokenizer, Tokenizer):
        tokenizer = load_tokenizer(find_tokenizer(view) if tokenizer is None else tokenizer)
    model = load_umt5(view, dtype=dtype, device=device)
    if tokenizer.size > model.vocabulary:
        problem = f"has {model.vocabulary} embeddings, its tokenizer {tokenizer.size} tokens: not made for it"
        raise CheckpointError(view.path, problem)
    return TextEncoder(model, tokenizer)


def find_tokenizer(view: FileView) -> bytes | Path:
    """The tokenizer that came with a text encoder. Raises `CheckpointError` where there is none."""
    if (inside := tokenizer_inside(view)) is not None:
        return inside
    folder = view.path if view.path.is_dir() else view.path.parent
    for place in TOKENIZER_PLACES:
        if any((folder / place / name).is_file() for name in ("tokenizer.json", "spiece.model")):
            return folder / place
    if (lent := tokenizer_beside(folder)) is not None:
        return lent
    looked = ", ".join(f"{place}/" if place != "." else "its folder" for place in TOKENIZER_PLACES)
    problem = f"comes without a tokenizer; name one with --tokenizer, or put spiece.model into {looked}"
    fetch = "`wancore download google/umt5-xxl --include spiece.model` fetches it"
    raise CheckpointError(view.path, f"{problem}; {fetch}")


def tokenizer_inside(view: FileView) -> bytes | None:
    """The one that ComfyUI puts into its files."""
    inside = [name for name in view.entries if name.split(".")[-1] == "spiece_model"]
    return view.tensor(inside[0]).numpy().tobytes() if len(inside) == 1 else None


def tokenizer_beside(folder: Path) -> bytes | None:
    """The one inside another UMT5 of the same folder: there is only one vocabulary."""
    for path in sorted(folder.glob("*.safetensors")):
        try:
            view = open_view(path)
        except CheckpointError:
            continue
        umt5 = any(claim.role == "text_encoder" for claim in component_claims(view))
        if umt5 and (lent := tokenizer_inside(view)) is not None:
            logger.info("the tokenizer is that of %s", path.name)
            return lent
    return None


def encoder_identity(source: Path | str, dtype: torch.dtype) -> str:
    """What a cached context depends on besides its prompt: the weights and the precision.

    Reads no weights: path, size and time of change of the file, or of the files in the folder.
    """
    path = Path(source).resolve()
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    try:
        stamps = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    except OSError as error:
        raise CheckpointError(path, f"cannot be read: {error.strerror}") from error
    return f"{path} {stamps} {dtype}"
