from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wancore.testing import make_tiny


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny model of one kind, made once."""
    made: dict[str, Path] = {}

    def model(kind: str) -> Path:
        if kind not in made:
            made[kind] = make_tiny(kind, tmp_path_factory.mktemp(kind))
        return made[kind]

    return model


@pytest.fixture
def image(tmp_path: Path) -> Callable[[str, int, int], Path]:
    """Writes a picture with a gradient; another name, another picture."""

    def write(name: str, width: int = 80, height: int = 60) -> Path:
        rows, columns = np.mgrid[:height, :width]
        blue = np.full_like(rows, sum(name.encode()) % 256)
        pixels = np.stack((rows * 255 // height, columns * 255 // width, blue), axis=-1).astype(np.uint8)
        path = tmp_path / f"{name}.png"
        Image.fromarray(pixels).save(path)
        return path

    return write
