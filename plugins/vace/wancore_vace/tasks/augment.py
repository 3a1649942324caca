"""Looser masks: the hull or the box of what is masked, and something around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from wancore_vace.tasks.pixels import Masks

Shape = Literal["original", "hull", "box"]


@dataclass(frozen=True)
class Expansion:
    """How far a mask grows: at most `ratio` of its size, in `iterations` steps.

    `factors`: 0..1, how much of that to the left, right, up and down.
    """

    ratio: float = 0.3
    iterations: int = 5
    factors: tuple[float, float, float, float] = (0.5, 0.5, 0.5, 0.5)


def augmented(mask: Masks, shape: Shape = "original", expansion: Expansion | None = None) -> Masks:
    """[H, W] uint8 -> a mask of another shape, grown; an empty mask stays as it is."""
    if not mask.any():
        return mask
    shaped = hull(mask) if shape == "hull" else box(mask) if shape == "box" else mask
    return shaped if expansion is None else expanded(shaped, expansion)


def hull(mask: Masks) -> Masks:
    """The convex hull of everything that is masked."""
    found, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    filled = np.zeros_like(mask)
    cv2.fillPoly(filled, [cv2.convexHull(np.concatenate(found))], 255)
    return filled


def box(mask: Masks) -> Masks:
    """The box around everything that is masked."""
    left, right, top, bottom = bounds(mask)
    filled = np.zeros_like(mask)
    filled[top : bottom + 1, left : right + 1] = 255
    return filled


def bounds(mask: Masks) -> tuple[int, int, int, int]:
    """First and last masked column, first and last masked row."""
    columns, rows = np.nonzero(mask.any(axis=0))[0], np.nonzero(mask.any(axis=1))[0]
    return int(columns[0]), int(columns[-1]), int(rows[0]), int(rows[-1])


def expanded(mask: Masks, by: Expansion) -> Masks:
    """Dilated by a rectangle that reaches further to one side than to the other."""
    left, right, top, bottom = bounds(mask)
    height, width = mask.shape
    across, along = (right - left + 1) * by.ratio, (bottom - top + 1) * by.ratio
    room = (
        min(across, left / 2),
        min(across, (width - right) / 2),
        min(along, top / 2),
        min(along, (height - bottom) / 2),
    )
    reach = [int(k * r / by.iterations) for k, r in zip(by.factors, room, strict=True)]
    radius = max(reach)
    if radius == 0:
        return mask
    to_left, to_right, up, down = reach
    kernel = np.zeros((2 * radius, 2 * radius), np.uint8)
    kernel[radius - down : radius + up + 1, radius - to_right : radius + to_left + 1] = 1
    return cv2.dilate(mask, kernel, iterations=by.iterations)
