"""What the videos of the corpus show, and the words for it."""

from __future__ import annotations

import hashlib

RGB = tuple[int, int, int]

#: Colours of things; shades vary by a few levels around them.
COLOURS: dict[str, RGB] = {
    "red": (220, 42, 40),
    "green": (48, 178, 62),
    "blue": (48, 92, 228),
    "yellow": (242, 218, 52),
    "white": (240, 240, 240),
    "orange": (240, 132, 28),
    "purple": (152, 60, 192),
}
#: The same words for backgrounds: deeper, so that things stand out from them.
BACKGROUNDS: dict[str, RGB] = {
    "red": (122, 26, 30),
    "green": (34, 104, 46),
    "blue": (26, 44, 124),
    "yellow": (204, 190, 92),
    "white": (216, 216, 216),
    "orange": (168, 90, 26),
    "purple": (84, 40, 114),
}
SHAPES = ("circle", "ball", "square", "triangle", "star")
TEXTURES = ("plain", "striped", "dotted", "checkered")
MOTIONS = ("left", "right", "up", "down", "bounce", "turn", "grow", "shrink", "still")
#: Motions that a video is scored on.
SCORED_MOTIONS = MOTIONS[:-1]
BACKDROPS = ("plain", "gradient", "checkered", "striped", "field")

HELD_BACK_SHARE = 10  # one in so many


def held_back(colour: str, shape: str, motion: str) -> bool:
    """Whether no training video shows this combination: it is left for the score.

    Decided by a hash, so that it depends on nothing but the words.
    """
    if motion == "still" or (colour, shape, motion) == ("red", "ball", "bounce"):
        return False
    digest = hashlib.sha256(f"{colour} {shape} {motion}".encode()).digest()
    return digest[0] % HELD_BACK_SHARE == 0
