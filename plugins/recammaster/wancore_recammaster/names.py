"""Names of the released camera paths, in their order; of each pair, one goes the other way."""

from __future__ import annotations

from typing import Literal, get_args

Preset = Literal[
    "pan_right", "pan_left", "tilt_up", "tilt_down", "zoom_in", "zoom_out", "translate_up", "translate_down",
    "arc_left", "arc_right",
]  # fmt: skip
PRESETS: tuple[Preset, ...] = get_args(Preset)
