"""Whose file it is, without torch."""

from __future__ import annotations

from wancore.checkpoints.claim import Claim
from wancore.checkpoints.fingerprint import all_fit
from wancore.checkpoints.view import FileView

KEYS = ("blocks.N.self_attn.{q_loras,k_loras,v_loras}.{down,up}.weight",)
DOWN = "blocks.0.self_attn.q_loras.down.weight"


def recognise(file: FileView) -> Claim | None:
    """The low-rank weights of the face: shaped like a LoRA, and no LoRA."""
    if DOWN not in file or not all_fit(KEYS, file.names):
        return None
    return Claim("module", "standin", needs=("the Wan text-to-video model it was trained on",))
