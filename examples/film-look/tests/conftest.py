"""A tiny text-to-video model with random weights, a look learned from it, and a colour table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from film_look.learn import learn

from wancore.engine import Engine
from wancore.events import Frames
from wancore.request import parse_request
from wancore.runtime.settings import Settings
from wancore.testing import make_tiny

INVERTED = "LUT_3D_SIZE 2\n" + "\n".join(
    f"{1 - red} {1 - green} {1 - blue}" for blue in (0, 1) for green in (0, 1) for red in (0, 1)
)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny("t2v", tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def look(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return learn(
        str(model), "a street", "a street at night", tmp_path_factory.mktemp("look") / "x.safetensors"
    )


@pytest.fixture(scope="session")
def inverted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "inverted.cube"
    path.write_text(INVERTED)
    return path


@pytest.fixture(scope="session")
def generate(model: Path, look: Path) -> Callable[..., np.ndarray]:
    """Frames [T, H, W, 3] of a small request with the look attached; `look=None`: without."""
    engine = Engine(Settings(device="cpu"))
    attached = {"name": "film-look", "modules": [str(look)]}

    def frames(look: dict[str, Any] | None, **fields: Any) -> np.ndarray:
        small = {
            "prompt": "a red ball",
            "model": str(model),
            "size": "64x48",
            "frames": 5,
            "steps": 2,
            "seed": 7,
        }
        uses = [] if look is None else [{**attached, **look}]
        events = engine.generate(parse_request({**small, "attachments": uses, **fields}))
        return np.concatenate([event.frames for event in events if isinstance(event, Frames)])

    return frames
