"""The speech encoder of a model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from wancore.checkpoints.components import component_claims
from wancore.checkpoints.open import open_view
from wancore.checkpoints.parts import Parts
from wancore.checkpoints.prefix import peel_prefix

SpeechEncoder = Literal["wav2vec2", "Whisper"]


def speech_encoder(parts: Parts, kind: SpeechEncoder) -> Path:
    """The file or folder of the one audio encoder that is a `kind`. Raises `CheckpointError`."""
    fitting = tuple(path for path in parts.found.get("audio_encoder", ()) if is_a(kind, path))
    return replace(parts, found={**parts.found, "audio_encoder": fitting}).require("audio_encoder")


def is_a(kind: SpeechEncoder, path: Path) -> bool:
    claims = component_claims(peel_prefix(open_view(path)).view)
    return any(claim.role == "audio_encoder" and claim.name == kind for claim in claims)
