"""Golden-case kinds of this component."""

from __future__ import annotations

from wancore.parity.kind import Kind

CASES = "wancore.encoders.parity_cases"
NETWORKS = ("clip_visual", "clip_visual_hf", "umt5_hf", "umt5_wan", "wav2vec2_interp")

KINDS: tuple[Kind, ...] = tuple(
    Kind("_encoders", kind, f"{CASES}:{kind}", placed=kind in NETWORKS)
    for kind in (
        "clip_preprocess_comfy",
        "clip_visual",
        "clip_visual_hf",
        "normalise_audio",
        "prompt_weights",
        "text_clean",
        "umt5_buckets",
        "umt5_hf",
        "umt5_wan",
        "wav2vec2_interp",
        "whisper_groups",
    )
)
