"""Faces to pixels: every part is an ellipse with a soft edge, drawn for a whole batch at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tools.tiny.face.scene import INSIDE, Face

BLINK = 3  # frames


@dataclass
class Canvas:
    """A picture [B, 3, T, H, W] in 0..1 that ellipses are painted on; x, y [1, 1, H, W] in sides."""

    picture: Tensor
    x: Tensor
    y: Tensor

    def ellipse(self, x: Tensor, y: Tensor, width: Tensor, height: Tensor, colour: Tensor) -> None:
        """Centre and half axes [B, T] or [B, 1], colour [B, 3]."""
        u, v = self.x - x[..., None, None], self.y - y[..., None, None]
        a, b = width[..., None, None].clamp_min(1e-4), height[..., None, None].clamp_min(1e-4)
        r = torch.sqrt((u / a).square() + (v / b).square()).clamp_min(1e-4)
        slope = torch.sqrt((u / a.square()).square() + (v / b.square()).square()).clamp_min(1e-4) / r
        cover = (0.5 - (r - 1) / slope * self.x.shape[-1]).clamp(0, 1)[:, None]
        self.picture = torch.lerp(self.picture, colour[:, :, None, None, None].expand_as(self.picture), cover)


def render(faces: Sequence[Face], openings: Tensor, side: int, device: torch.device | str = "cpu") -> Tensor:
    """`openings` [B, T], 0..1 -> video [B, 3, T, side, side] float32 in [-1, 1]."""
    openings = openings.to(device)
    count, frames = openings.shape
    at = (torch.arange(side, device=device) + 0.5) / side
    canvas = Canvas(
        colours(faces, "background", device)[:, :, None, None, None].expand(-1, -1, frames, side, side),
        at.view(1, 1, 1, -1), at.view(1, 1, -1, 1),
    )  # fmt: skip
    n = numbers(faces, device)
    time = torch.arange(frames, device=device)
    size, pace, phase = torch.tensor([f.sway for f in faces], device=device).unbind(1)
    turn = size[:, None] * torch.sin(pace[:, None] * time + phase[:, None])
    x, y = n["x"] + turn, n["y"] + 0.4 * turn
    w, h, still = n["width"], n["height"], torch.zeros_like(turn)
    canvas.ellipse(n["x"], n["x"] * 0 + 1.08, w * 1.75, w * 0.95, colours(faces, "clothes", device))
    canvas.ellipse(x, y + h * 0.95, w * 0.42, w * 0.5, colours(faces, "skin", device) * 0.92)
    canvas.ellipse(x, y - h * 0.12, w * 1.1, h * 1.05, colours(faces, "hair", device))
    canvas.ellipse(x, y, w, h, colours(faces, "skin", device))
    canvas.ellipse(x, y - h * (0.6 + 0.5 * n["hairline"]), w * 0.85, h * 0.45, colours(faces, "hair", device))
    draw_eyes(canvas, faces, x, y, frames)
    canvas.ellipse(x, y + h * 0.16, w * 0.1, h * 0.12, colours(faces, "skin", device) * 0.86)
    low, tall = y + h * 0.52, still + openings * n["reach"]
    wide = n["mouth"] * (1 - 0.18 * openings)
    canvas.ellipse(x, low, wide + n["lips"], tall + n["lips"], colours(faces, "lips_colour", device))
    inside = torch.tensor(INSIDE, device=device).expand(count, 3)
    canvas.ellipse(x, low, wide * 0.92, tall.clamp_min(0.002), inside)
    return canvas.picture * 2 - 1


def draw_eyes(canvas: Canvas, faces: Sequence[Face], x: Tensor, y: Tensor, frames: int) -> None:
    device = x.device
    n = numbers(faces, device)
    w, h = n["width"], n["height"]
    awake = torch.ones(len(faces), frames, device=device)
    for i, face in enumerate(faces):
        for start in face.blinks:
            awake[i, start : start + BLINK] = 0.12
    white = torch.full((len(faces), 3), 0.96, device=device)
    for side in (-1, 1):
        middle = x + side * w * 0.42
        canvas.ellipse(middle, y - h * 0.14, w * 0.26, h * 0.14 * awake, white)
        canvas.ellipse(middle, y - h * 0.14, w * 0.13, h * 0.115 * awake, colours(faces, "eyes", device))
        canvas.ellipse(middle, y - h * 0.36, w * 0.24, h * 0.03, colours(faces, "hair", device))


def colours(faces: Sequence[Face], name: str, device: torch.device | str) -> Tensor:
    """[B, 3]."""
    return torch.tensor([getattr(face, name) for face in faces], device=device)


def numbers(faces: Sequence[Face], device: torch.device | str) -> dict[str, Tensor]:
    """Each [B, 1]."""
    names = ("x", "y", "width", "height", "hairline", "mouth", "lips", "reach")
    return {name: torch.tensor([[getattr(f, name)] for f in faces], device=device) for name in names}
