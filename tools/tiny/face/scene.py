"""One drawn face as numbers. Lengths are in units of the picture's side, colours 0..1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from numpy.random import Generator

RGB = tuple[float, float, float]

SKINS: tuple[RGB, ...] = (
    (0.96, 0.82, 0.70), (0.91, 0.72, 0.57), (0.80, 0.60, 0.44), (0.63, 0.44, 0.31), (0.45, 0.30, 0.21),
)  # fmt: skip
HAIRS: tuple[RGB, ...] = (
    (0.13, 0.11, 0.10), (0.33, 0.22, 0.14), (0.55, 0.37, 0.20), (0.86, 0.70, 0.38), (0.62, 0.62, 0.64),
)  # fmt: skip
EYES: tuple[RGB, ...] = ((0.20, 0.35, 0.60), (0.22, 0.45, 0.28), (0.32, 0.20, 0.10))
CLOTHES: tuple[RGB, ...] = (
    (0.20, 0.35, 0.70), (0.20, 0.55, 0.35), (0.70, 0.25, 0.25), (0.85, 0.80, 0.72), (0.30, 0.30, 0.36),
)  # fmt: skip
INSIDE: RGB = (0.33, 0.07, 0.09)  # of every mouth: what a viewer, or a program, tells an open mouth by


@dataclass(frozen=True)
class Face:
    """`x`, `y`: the middle of the head; `width`, `height`: half of its axes; `mouth`: half its width.

    `lips`, `reach`: thickness of the lips, and half the height of a wide open mouth. `sway`: amplitude and
    pace (radians a frame) and phase of the head's motion. `blinks`: frames at which the eyes close.
    """

    skin: RGB
    hair: RGB
    eyes: RGB
    lips_colour: RGB
    clothes: RGB
    background: RGB
    x: float
    y: float
    width: float
    height: float
    hairline: float
    mouth: float
    lips: float
    reach: float
    sway: tuple[float, float, float]
    blinks: tuple[int, ...]


def draw_face(rng: Generator, frames: int) -> Face:
    """A face for a clip of `frames`."""
    width = float(rng.uniform(0.27, 0.32))
    height = width * float(rng.uniform(1.18, 1.3))
    skin = shaded(rng, one(rng, SKINS))
    return Face(
        skin=skin,
        hair=shaded(rng, one(rng, HAIRS)),
        eyes=one(rng, EYES),
        lips_colour=(min(0.55 * skin[0] + 0.42, 0.85), 0.42 * skin[1], 0.48 * skin[2]),
        clothes=shaded(rng, one(rng, CLOTHES)),
        background=tuple(float(v) for v in rng.uniform(0.25, 0.9, 3)),  # type: ignore[arg-type]
        x=float(rng.uniform(0.44, 0.56)),
        y=float(rng.uniform(0.45, 0.52)),
        width=width,
        height=height,
        hairline=float(rng.uniform(0.35, 0.6)),
        mouth=width * float(rng.uniform(0.36, 0.5)),
        lips=float(rng.uniform(0.012, 0.018)),
        reach=height * float(rng.uniform(0.18, 0.23)),
        sway=(float(rng.uniform(0, 0.012)), float(rng.uniform(0.05, 0.12)), float(rng.uniform(0, 6.28))),
        blinks=tuple(int(v) for v in rng.integers(0, frames, max(frames // 60, int(rng.random() < 0.5)))),
    )


def one(rng: Generator, options: Sequence[RGB]) -> RGB:
    return options[int(rng.integers(len(options)))]


def shaded(rng: Generator, rgb: RGB) -> RGB:
    r, g, b = (min(max(c + d, 0.0), 1.0) for c, d in zip(rgb, rng.uniform(-0.05, 0.05, 3), strict=True))
    return float(r), float(g), float(b)
