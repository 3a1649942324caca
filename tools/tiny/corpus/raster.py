"""Scenes to pixels: every shape is a distance, so whole batches are drawn at once on any device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tools.tiny.corpus.scene import FIELD_HORIZON, Backdrop, Scene, Thing
from tools.tiny.corpus.vocabulary import BACKDROPS, TEXTURES

#: Shape -> corners and the radius between two corners, of the radius at them; a circle has neither.
CORNERS = {
    "circle": (0, 0.0),
    "ball": (0, 0.0),
    "square": (4, math.cos(math.pi / 4)),
    "triangle": (3, math.cos(math.pi / 3)),
    "star": (5, 0.44),
}
LIGHT = (-0.45, -0.55, 0.70)  # towards the light, y down
SKY_TOP, SKY_LOW = (92, 150, 214), (176, 206, 232)
FIELDS = (
    "x", "y", "dx", "dy", "radius", "growth", "angle", "turn", "bounce", "bounces", "phase",
)  # fmt: skip


@dataclass(frozen=True)
class Grid:
    """Pixel centres in shorter sides: x [1, 1, 1, W], y [1, 1, H, 1]; time [1, T]; `pixel`: one step."""

    x: Tensor
    y: Tensor
    time: Tensor
    pixel: float

    @classmethod
    def of(cls, frames: int, height: int, width: int, device: torch.device | str) -> Grid:
        side = min(height, width)
        x = (torch.arange(width, device=device) + 0.5) / side
        y = (torch.arange(height, device=device) + 0.5) / side
        time = torch.arange(frames, device=device) / max(frames - 1, 1)
        return cls(x.view(1, 1, 1, -1), y.view(1, 1, -1, 1), time.view(1, -1), 1 / side)


def render(
    scenes: Sequence[Scene], frames: int, height: int, width: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Video [B, 3, T, H, W] float32 in [-1, 1]."""
    grid = Grid.of(frames, height, width, device)
    picture = backdrops([scene.backdrop for scene in scenes], grid)  # [B, 3, 1, H, W] in 0..1
    picture = picture.expand(-1, -1, frames, -1, -1)
    for level in range(max(len(scene.things) for scene in scenes)):
        chosen = [scene.things[level] if level < len(scene.things) else None for scene in scenes]
        colour, cover = draw_things(chosen, grid)
        picture = picture + (colour - picture) * cover[:, None]
    return picture * 2 - 1


def draw_things(things: Sequence[Thing | None], grid: Grid) -> tuple[Tensor, Tensor]:
    """One thing per video: its colours [B, 3, T, H, W] in 0..1, and where it is [B, T, H, W]."""
    device = grid.x.device
    rows = [[getattr(t.path, name) if t else 0.0 for name in FIELDS] for t in things]
    table = torch.tensor(rows, device=device)
    x, y, dx, dy, radius, growth, angle, turn, bounce, bounces, phase = table[..., None].unbind(1)  # [B, 1]
    q = (bounces * grid.time + phase) % 1.0
    cx, cy = x + dx * grid.time, y + dy * grid.time - bounce * 4 * q * (1 - q)  # [B, T]
    size = (radius * growth.clamp_min(1e-6) ** grid.time).clamp_min(1e-6)
    turned = angle + turn * grid.time
    px, py = grid.x - cx[..., None, None], grid.y - cy[..., None, None]  # [B, T, H, W]
    size, turned = size[..., None, None], turned[..., None, None]
    distance = outline([t.shape if t else "circle" for t in things], px, py, size, turned)
    present = torch.tensor([t is not None for t in things], device=device).view(-1, 1, 1, 1)
    cover = (0.5 - distance / grid.pixel).clamp(0, 1) * present
    tone = 1 - 0.5 * pattern([t.texture if t else "plain" for t in things], px, py, size, turned, grid.pixel)
    rgb = torch.tensor([t.rgb if t else (0, 0, 0) for t in things], device=device) / 255  # [B, 3]
    flat = rgb[:, :, None, None, None] * tone[:, None]
    ball = torch.tensor([t is not None and t.shape == "ball" for t in things], device=device)
    if not ball.any():
        return flat, cover
    lit, gleam = shading(px / size, py / size)
    round_ = (flat * lit[:, None] + gleam[:, None]).clamp(0, 1)
    return torch.where(ball.view(-1, 1, 1, 1, 1), round_, flat), cover


def outline(shapes: Sequence[str], px: Tensor, py: Tensor, size: Tensor, turned: Tensor) -> Tensor:
    """Signed distance to the edge [B, T, H, W], negative inside.

    Polygons and stars are folded into half a sector, where their edge is one straight line.
    """
    corners = torch.tensor([CORNERS[s] for s in shapes], device=px.device)
    n, inner = corners.view(-1, 2, 1, 1, 1).unbind(1)
    rho = torch.sqrt(px.square() + py.square() + 1e-12)
    sector = 2 * math.pi / n.clamp_min(3)
    turns = (torch.atan2(py, px) - turned) / sector
    a = (turns - turns.round()).abs() * sector
    half = sector / 2
    ex, ey = inner * torch.cos(half) - 1, inner * torch.sin(half)  # along the edge, in radii
    length = torch.sqrt(ex.square() + ey.square())
    edge = ((rho * torch.cos(a) - size) * ey - rho * torch.sin(a) * ex) / length
    return torch.where(n > 0, edge, rho - size)


def pattern(
    textures: Sequence[str], px: Tensor, py: Tensor, size: Tensor, turned: Tensor, pixel: float
) -> Tensor:
    """Where the darker tone of a texture is [B, T, H, W], 0..1; it turns with the shape."""
    kinds = torch.tensor([TEXTURES.index(t) for t in textures], device=px.device).view(-1, 1, 1, 1)
    if not kinds.any():
        return torch.zeros_like(px)
    cos, sin = torch.cos(turned), torch.sin(turned)
    u, v = (px * cos + py * sin) / size, (py * cos - px * sin) / size
    wave_u, wave_v = torch.sin(u * 6.0 + 0.7), torch.sin(v * 6.0 + 0.7)
    sharp = size / pixel / 6.0
    dots = 1.0 - (wave_u.square() + wave_v.square())
    value = torch.where(
        kinds == 1, wave_u, torch.where(kinds == 2, 0.9 - 1.6 * (1 - dots / 2), wave_u * wave_v)
    )
    return ((value * sharp + 0.5).clamp(0, 1)) * (kinds > 0)


def shading(u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Light on a ball at u, v in radii: a factor on its colour, and the gleam to add."""
    normal = torch.sqrt((1 - u.square() - v.square()).clamp_min(0))
    lambert = (u * LIGHT[0] + v * LIGHT[1] + normal * LIGHT[2]).clamp(0, 1)
    return 0.38 + 0.66 * lambert, 0.55 * lambert.pow(28)


def backdrops(kinds: Sequence[Backdrop], grid: Grid) -> Tensor:
    """[B, 3, 1, H, W] in 0..1."""
    device = grid.x.device
    kind = torch.tensor([BACKDROPS.index(b.kind) for b in kinds], device=device).view(-1, 1, 1, 1, 1)
    rgb = (torch.tensor([b.rgb for b in kinds], device=device) / 255).view(-1, 3, 1, 1, 1)
    cell = torch.tensor([b.cell for b in kinds], device=device).view(-1, 1, 1, 1, 1)
    x, y = grid.x[:, None], grid.y[:, None]  # [1, 1, 1, 1, W], [1, 1, 1, H, 1]
    height = float(grid.y[0, 0, -1, 0]) + grid.pixel / 2
    sharp = cell / grid.pixel / math.pi
    wave_x, wave_y = torch.sin(math.pi * x / cell), torch.sin(math.pi * y / cell)
    checks = (wave_x * wave_y * sharp + 0.5).clamp(0, 1)
    stripes = (wave_y * sharp + 0.5).clamp(0, 1).expand_as(checks)
    slope = (0.62 + 0.5 * y / height).expand_as(checks)
    tone = torch.where(kind == 1, slope, torch.where(kind == 2, 0.72 + 0.28 * checks, 0.72 + 0.28 * stripes))
    tone = torch.where(kind == 0, torch.ones_like(tone), tone)
    return torch.where(kind == 4, field(rgb, y / height, grid.pixel / height, x), rgb * tone)


def field(rgb: Tensor, y: Tensor, pixel: float, x: Tensor) -> Tensor:
    """A field of colour `rgb` [B, 3, 1, 1, 1] under a sky; `y` 0..1 from the top."""
    top = torch.tensor(SKY_TOP, device=y.device).view(1, 3, 1, 1, 1) / 255
    low = torch.tensor(SKY_LOW, device=y.device).view(1, 3, 1, 1, 1) / 255
    sky = top + (low - top) * (y / FIELD_HORIZON).clamp(0, 1)
    depth = ((y - FIELD_HORIZON) / (1 - FIELD_HORIZON)).clamp(0.02, 1)
    mown = (torch.sin(7.0 * depth.sqrt() * math.pi / 1.4) * 3).clamp(-1, 1)
    ground = rgb * (1.0 + 0.1 * mown + 0.16 * depth)
    below = ((y - FIELD_HORIZON) / pixel + 0.5).clamp(0, 1)
    return (sky + (ground - sky) * below).expand(-1, -1, -1, -1, x.shape[-1]).clamp(0, 1)
