"""One video of the corpus as numbers: things, how they move, and what is behind them.

Lengths and positions are in units of the frame's shorter side, angles in radians, time runs 0..1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from numpy.random import Generator

from tools.tiny.corpus.chance import pick, weighted
from tools.tiny.corpus.vocabulary import (
    BACKDROPS,
    BACKGROUNDS,
    COLOURS,
    MOTIONS,
    RGB,
    SHAPES,
    TEXTURES,
    held_back,
)

NAMES = tuple(COLOURS)
#: Radius of a shape relative to that of a circle of the same size.
SPREAD = {"circle": 1.0, "ball": 1.0, "square": 1.22, "triangle": 1.4, "star": 1.42}
SIZES = {"small": (0.10, 0.13), "": (0.145, 0.20), "large": (0.22, 0.27)}
PACES = {"slowly": (0.35, 0.5), "": (0.55, 0.85), "quickly": (0.9, 1.0)}
MOTION_WEIGHTS = (0.14, 0.14, 0.13, 0.13, 0.16, 0.11, 0.08, 0.06, 0.05)
#: How a shape stands when it does not turn.
UPRIGHT = {"square": math.pi / 4, "triangle": -math.pi / 2, "star": -math.pi / 2}
FIELD_HORIZON = 0.42
COUNTS, COUNT_WEIGHTS = (1, 2, 3), (0.72, 0.24, 0.04)  # things in a scene


@dataclass(frozen=True)
class Frame:
    """The frame in units of its shorter side."""

    width: float
    height: float

    @classmethod
    def of(cls, width: int, height: int) -> Frame:
        side = min(width, height)
        return cls(width / side, height / side)


@dataclass(frozen=True)
class Path:
    """Position, radius and angle over time p: start + p * change; bounces of `height` above the line."""

    x: float
    y: float
    dx: float = 0.0
    dy: float = 0.0
    radius: float = 0.15
    growth: float = 1.0
    angle: float = 0.0
    turn: float = 0.0
    bounce: float = 0.0
    bounces: float = 0.0
    phase: float = 0.0

    def centre(self, p: float) -> tuple[float, float]:
        q = (self.bounces * p + self.phase) % 1.0
        return self.x + self.dx * p, self.y + self.dy * p - self.bounce * 4 * q * (1 - q)

    def size(self, p: float) -> float:
        return float(self.radius * self.growth**p)


@dataclass(frozen=True)
class Thing:
    """`size`, `pace`: the words for them, "" for the usual."""

    shape: str
    colour: str
    rgb: RGB
    texture: str
    size: str
    motion: str
    pace: str
    path: Path


@dataclass(frozen=True)
class Backdrop:
    """`colour`: "" for the dark one; `cell`: size of checks or stripes."""

    kind: str
    colour: str
    rgb: RGB
    cell: float = 0.2


@dataclass(frozen=True)
class Scene:
    backdrop: Backdrop
    things: tuple[Thing, ...]


def draw_scene(rng: Generator, frame: Frame, seconds: float) -> Scene:
    """A scene of the training corpus: it holds no combination that is held back."""
    backdrop = draw_backdrop(rng)
    count = weighted(rng, COUNTS, COUNT_WEIGHTS)
    things: list[Thing] = []
    for _ in range(count):
        things.append(draw_beside(rng, frame, seconds, backdrop, things))
    return Scene(backdrop, tuple(things))


def draw_beside(
    rng: Generator, frame: Frame, seconds: float, backdrop: Backdrop, others: list[Thing]
) -> Thing:
    """A thing of another colour than the rest, out of their way if that is found in a few tries."""
    crossing = rng.random() < 0.2
    words = draw_words_beside(rng, backdrop, others)
    thing = words
    for _ in range(12):
        thing = with_path(rng, words, frame, seconds, backdrop, crowded=bool(others))
        if crossing or all(apart(thing, other) for other in others):
            break
    return thing


def draw_cast(rng: Generator) -> Scene:
    """A scene of the training corpus with what captions tell of it alone: its things have no path."""
    backdrop = draw_backdrop(rng)
    things: list[Thing] = []
    for _ in range(weighted(rng, COUNTS, COUNT_WEIGHTS)):
        things.append(draw_words_beside(rng, backdrop, things))
    return Scene(backdrop, tuple(things))


def draw_words_beside(rng: Generator, backdrop: Backdrop, others: list[Thing]) -> Thing:
    """A thing without a path, of another colour than the rest, that is not held back."""
    taken = {backdrop.colour, *(thing.colour for thing in others)}
    while True:
        words = draw_words(rng)
        if words.colour not in taken and not held_back(words.colour, words.shape, words.motion):
            return words


def draw_words(rng: Generator) -> Thing:
    shape = pick(rng, SHAPES)
    motion = weighted(rng, MOTIONS, MOTION_WEIGHTS)
    texture = weighted(rng, TEXTURES, (0.82, 0.08, 0.05, 0.05))
    if motion == "turn" and texture == "plain" and shape in ("circle", "ball"):
        texture = pick(rng, TEXTURES[1:])  # a plain circle shows no turning
    colour = pick(rng, NAMES)
    size = weighted(rng, tuple(SIZES), (0.15, 0.7, 0.15)) if motion not in ("grow", "shrink") else ""
    pace = weighted(rng, tuple(PACES), (0.1, 0.8, 0.1)) if motion != "still" else ""
    return Thing(shape, colour, shade(rng, COLOURS[colour]), texture, size, motion, pace, Path(0, 0))


def draw_backdrop(rng: Generator) -> Backdrop:
    if rng.random() < 0.45:
        grey = rng.integers(10, 34)
        tint = rng.integers(-5, 9, size=3)
        rgb = tuple(int(max(grey + t, 0)) for t in tint)
        return Backdrop("plain", "", (rgb[0], rgb[1], rgb[2]))
    colour = pick(rng, NAMES)
    kind = weighted(rng, BACKDROPS, (0.64, 0.07, 0.07, 0.06, 0.16))
    if kind == "field" and rng.random() < 0.6:
        colour = "green"
    return Backdrop(kind, colour, shade(rng, BACKGROUNDS[colour]), float(rng.uniform(0.14, 0.28)))


def shade(rng: Generator, rgb: RGB) -> RGB:
    levels = [int(min(max(c + d, 0), 255)) for c, d in zip(rgb, rng.integers(-10, 11, size=3), strict=True)]
    return levels[0], levels[1], levels[2]


def with_path(
    rng: Generator, words: Thing, frame: Frame, seconds: float, backdrop: Backdrop, *, crowded: bool = False
) -> Thing:
    """`words` with a path that shows the motion and stays inside the frame."""
    radius = float(rng.uniform(*SIZES[words.size])) * SPREAD[words.shape]
    growth = 1.0
    if words.motion in ("grow", "shrink"):
        low, high = radius * 0.62, radius * 0.62 * float(rng.uniform(1.9, 2.5))
        radius, growth = (low, high / low) if words.motion == "grow" else (high, low / high)
    if crowded:
        radius *= 0.85
    reach = max(radius, radius * growth) * 1.04
    ground = (max(FIELD_HORIZON * frame.height + 0.1, reach), frame.height - reach)
    rows = (
        ground
        if backdrop.kind == "field" and words.motion in ("left", "right")
        else (reach, frame.height - reach)
    )
    path = Path(
        x=float(rng.uniform(reach, frame.width - reach)),
        y=float(rng.uniform(min(rows), max(rows))),
        radius=radius,
        growth=growth,
        angle=UPRIGHT.get(words.shape, 0.0) + float(rng.uniform(-0.1, 0.1)),
    )
    share = float(rng.uniform(*PACES[words.pace]))
    match words.motion:
        case "left" | "right":
            path = sideways(rng, path, frame.width - 2 * reach, share, words.motion == "left")
        case "up" | "down":
            path = upright(rng, path, frame.height - 2 * reach, share, words.motion == "up")
        case "bounce":
            height = (
                float(rng.uniform(0.4, 0.62)) * (frame.height - 2 * reach) * (1.2 if share > 0.9 else 1.0)
            )
            floor = frame.height - reach - float(rng.uniform(0.0, 0.15))
            rate = {"slowly": 0.7, "": 1.0, "quickly": 1.45}[words.pace] * float(rng.uniform(1.0, 1.35))
            path = replace(
                path, y=floor, bounce=height, bounces=max(rate * seconds, 1.15),
                phase=float(rng.uniform(0, 1)),
                dx=float(rng.uniform(-0.12, 0.12)) if frame.width > 2.5 * reach else 0.0,
            )  # fmt: skip
            path = replace(
                path, x=min(max(path.x, reach + 0.12), max(frame.width - reach - 0.12, reach + 0.12))
            )
        case "turn":
            angle = float(rng.uniform(1.0, 2.2)) * (0.5 + share)
            path = replace(path, turn=angle if rng.random() < 0.5 else -angle)
    return replace(words, path=path)


def sideways(rng: Generator, path: Path, room: float, share: float, backwards: bool) -> Path:
    start = path.radius * 1.04 + float(rng.uniform(0, 1)) * room * (1 - share)
    far = start + room * share
    return replace(path, x=far, dx=start - far) if backwards else replace(path, x=start, dx=far - start)


def upright(rng: Generator, path: Path, room: float, share: float, backwards: bool) -> Path:
    start = path.radius * 1.04 + float(rng.uniform(0, 1)) * room * (1 - share)
    far = start + room * share
    return replace(path, y=far, dy=start - far) if backwards else replace(path, y=start, dy=far - start)


def apart(a: Thing, b: Thing) -> bool:
    """Whether two things stay clear of each other most of the time."""
    for p in (0.0, 0.25, 0.5, 0.75, 1.0):
        (ax, ay), (bx, by) = a.path.centre(p), b.path.centre(p)
        if math.hypot(ax - bx, ay - by) < 0.95 * (a.path.size(p) + b.path.size(p)):
            return False
    return True
