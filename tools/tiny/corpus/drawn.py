"""What a scored prompt asks for, drawn as the corpus draws: the truth that a score is held against."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tools.tiny.corpus.raster import render
from tools.tiny.corpus.scene import Backdrop, Frame, Path, Scene, Thing, shade, with_path
from tools.tiny.corpus.vocabulary import BACKGROUNDS, COLOURS
from tools.tiny.score.prompts import Prompt

FPS = 16


def drawn(prompt: Prompt, seed: int, frames: int = 33, side: int = 128) -> NDArray[np.uint8]:
    """uint8 frames [T, side, side, 3]."""
    rng = np.random.default_rng(seed)
    wanted = prompt.wanted
    words = prompt.text.split()
    size = next((word for word in ("small", "large") if word in words), "")
    backdrop = Backdrop("plain", "", (20, 20, 24))
    if prompt.background:
        colour = "green" if prompt.background == "field" else prompt.background
        kind = "field" if prompt.background == "field" else "plain"
        backdrop = Backdrop(kind, colour, shade(rng, BACKGROUNDS[colour]))
    rgb = shade(rng, COLOURS[wanted.colour])
    thing = Thing(wanted.shape, wanted.colour, rgb, "plain", size, wanted.motion, "", Path(0, 0))
    scene = Scene(backdrop, (with_path(rng, thing, Frame(1.0, 1.0), frames / FPS, backdrop),))
    video = ((render([scene], frames, side, side)[0] + 1) * 127.5).round().byte()
    return np.asarray(video.permute(1, 2, 3, 0).numpy())
