"""Simple vision: which thing a video shows, its colour, its shape and its motion.

The background is what the frame's sides show, row by row; what differs from it is the thing. Shapes are told
by the harmonics of their outline's radius: 3 corners, 4, 5, or none; a ball by its shading.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Frames = NDArray[np.uint8]  # [T, H, W, 3]
Floats = NDArray[np.float64]

DIFFERENT = 34  # levels
SMALLEST = 0.004  # of the frame
ANGLES = 180
CORNERS = {3: "triangle", 4: "square", 5: "star"}


@dataclass(frozen=True)
class Look:
    """The thing in one frame; lengths in units of the shorter side. `harmonics` [8]: of its outline."""

    x: float
    y: float
    area: float
    harmonics: Floats
    phase: float
    slope: float
    rgb: Floats


@dataclass(frozen=True)
class Seen:
    """What a video shows; None where nothing was found."""

    colour: str | None
    shape: str | None
    motion: str | None
    background: str | None


def look(frames: Frames) -> Seen:
    """What `frames` show."""
    behind = background_rows(frames)
    looks = [found for frame in frames if (found := look_at(frame, behind)) is not None]
    shown = background_name(behind)
    if len(looks) < max(3, len(frames) // 2):
        return Seen(None, None, None, shown)
    return Seen(colour_of(looks), shape_of(looks), motion_of(looks), shown)


def background_rows(frames: Frames) -> Floats:
    """The colour of each row at the frame's sides [H, 1, 3], over all frames."""
    edge = max(frames.shape[2] // 24, 2)
    sides = np.concatenate((frames[:, :, :edge], frames[:, :, -edge:]), axis=2)
    return np.median(sides, axis=(0, 2))[:, None].astype(np.float64)


def background_name(rows: Floats) -> str:
    low = rows[len(rows) // 2 :, 0].mean(axis=0)
    high = rows[: len(rows) // 4, 0].mean(axis=0)
    if low.max() < 60:
        return ""
    return "field" if np.abs(high - low).max() > 60 else colour_name(low)


def look_at(frame: Frames, behind: Floats) -> Look | None:
    """The largest thing in a frame."""
    height, width = frame.shape[:2]
    different = np.abs(frame - behind).max(axis=2) > DIFFERENT
    different = ndimage.binary_opening(different, iterations=1)
    labels, count = ndimage.label(different)
    if not count:
        return None
    areas = np.bincount(labels.ravel())[1:]
    if areas.max() < SMALLEST * height * width:
        return None
    mask = ndimage.binary_fill_holes(labels == areas.argmax() + 1)
    side = min(height, width)
    ys, xs = np.nonzero(mask)
    cy, cx = ys.mean(), xs.mean()
    harmonics, phase = outline(mask, cy, cx)
    inner = ndimage.binary_erosion(mask, iterations=max(int(np.sqrt(len(xs)) * 0.08), 1))
    pixels = frame[inner] if inner.sum() > 8 else frame[mask]
    return Look(
        cx / side,
        cy / side,
        len(xs) / side**2,
        harmonics,
        phase,
        shading(frame, inner),
        np.median(pixels, axis=0),
    )


def outline(mask: NDArray[np.bool_], cy: float, cx: float) -> tuple[Floats, float]:
    """Size of harmonics 0..7 of the outline's radius over its mean, and a corner's angle."""
    angles = np.arange(ANGLES) * 2 * np.pi / ANGLES
    reach = np.hypot(*mask.shape)
    steps = np.arange(0.0, reach, 0.25)
    rows = cy + np.sin(angles)[:, None] * steps
    columns = cx + np.cos(angles)[:, None] * steps
    inside = ndimage.map_coordinates(mask.astype(np.float32), [rows, columns], order=1) > 0.5
    radius = np.where(inside, steps, 0).max(axis=1) + 1e-3
    spectrum = np.fft.rfft(radius / radius.mean()) / ANGLES * 2
    harmonics = np.abs(spectrum[:8])
    strongest = 3 + int(harmonics[3:6].argmax())
    return harmonics, float(-np.angle(spectrum[strongest]) / strongest)


def shading(frame: Frames, inner: NDArray[np.bool_]) -> float:
    """How much brighter the upper left of a thing is than its lower right, relative to its brightness."""
    if inner.sum() < 20:
        return 0.0
    ys, xs = np.nonzero(inner)
    light = frame[inner].max(axis=1).astype(np.float64)
    towards = -(xs - xs.mean()) - (ys - ys.mean())
    spread = np.sqrt((towards**2).mean()) + 1e-6
    return float((light * towards).mean() / spread / (light.mean() + 1e-6))


def colour_of(looks: list[Look]) -> str:
    names = [colour_name(one.rgb) for one in looks]
    return max(set(names), key=names.count)


def colour_name(rgb: Floats) -> str:
    """The nearest of the corpus' colour words."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(float(c) / 255 for c in rgb))
    if saturation < 0.25:
        return "white" if value > 0.45 else "grey"
    degrees = hue * 360
    bounds = (
        (15, "red"), (41, "orange"), (72, "yellow"), (170, "green"),
        (254, "blue"), (315, "purple"), (361, "red"),
    )  # fmt: skip
    return next(name for bound, name in bounds if degrees < bound)


def shape_of(looks: list[Look]) -> str:
    """By the harmonics' medians over the frames."""
    harmonics = np.median([one.harmonics for one in looks], axis=0)
    strongest = 3 + int(harmonics[3:6].argmax())
    if harmonics[strongest] < 0.045:
        return "ball" if np.median([one.slope for one in looks]) > 0.09 else "circle"
    return CORNERS[strongest]


def motion_of(looks: list[Look]) -> str:
    x, y, area = (np.array([getattr(one, name) for one in looks]) for name in ("x", "y", "area"))
    few = max(len(looks) // 10, 1)
    growth = np.sqrt(np.median(area[-few:]) / np.median(area[:few]))
    dx, dy = np.median(x[-few:]) - np.median(x[:few]), np.median(y[-few:]) - np.median(y[:few])
    if turning_points(y) >= 1:
        return "bounce"
    if max(abs(dx), abs(dy)) < 0.12 or abs(np.log(growth)) > 0.35:
        if growth > 1.25:
            return "grow"
        if growth < 0.8:
            return "shrink"
    if max(abs(dx), abs(dy)) > 0.08:
        if abs(dx) > abs(dy):
            return "left" if dx < 0 else "right"
        return "up" if dy < 0 else "down"
    return "turn" if turned(looks) > 0.35 else "still"


def turning_points(y: Floats) -> int:
    """How often a path changes between going up and down by at least 0.1."""
    count, direction, extreme = 0, 0, y[0]
    for value in y[1:]:
        if direction >= 0 and value < extreme - 0.1:
            count += direction > 0
            direction, extreme = -1, value
        elif direction <= 0 and value > extreme + 0.1:
            count += direction < 0
            direction, extreme = 1, value
        elif (direction >= 0 and value > extreme) or (direction <= 0 and value < extreme):
            extreme = value if direction else extreme
    return count


def turned(looks: list[Look]) -> float:
    """Radians turned in all, either way."""
    harmonics = np.median([one.harmonics for one in looks], axis=0)
    corners = 3 + int(harmonics[3:6].argmax())
    step = 2 * np.pi / corners
    angles = np.unwrap(np.array([one.phase for one in looks]), period=step)
    return float(abs(angles[-1] - angles[0]))
