"""Requests against tiny random models, and what came of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from wancore.engine import Engine
from wancore.events import Event, Frames
from wancore.request import Request, parse_request
from wancore.runtime.settings import Settings

SMALL = {"prompt": "a red ball", "size": "64x48", "frames": 9, "steps": 3, "seed": 7}


def small(model: Path, **fields: Any) -> Request:
    """A request that takes a second."""
    return parse_request({**SMALL, "model": str(model), **fields})


def write_pictures(folder: Path, colours: Sequence[str]) -> list[Path]:
    """One picture of each colour, each of another shape."""
    paths = [folder / f"{colour}.png" for colour in colours]
    for i, (path, colour) in enumerate(zip(paths, colours, strict=True)):
        Image.new("RGB", (20 + 5 * i, 50 - 4 * i), colour).save(path)
    return paths


def engine(**settings: Any) -> Engine:
    return Engine(Settings(device="cpu", **settings))


@dataclass(frozen=True)
class Made:
    """The events of one generation, and its frames in one array [T, H, W, 3]."""

    events: list[Event]
    frames: np.ndarray

    @classmethod
    def of(cls, events: Iterable[Event]) -> Made:
        events = list(events)
        return cls(events, np.concatenate([e.frames for e in events if isinstance(e, Frames)]))


@dataclass(frozen=True)
class Remembering:
    """An engine that makes each request once, however many tests look at what came of it."""

    engine: Engine
    remembered: dict[str, Made] = field(default_factory=dict)

    def made(self, request: Request) -> Made:
        key = request.model_dump_json()
        if key not in self.remembered:
            self.remembered[key] = Made.of(self.engine.generate(request))
        return self.remembered[key]
