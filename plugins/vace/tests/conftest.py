from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from plugins.vace.tests import making
from tests.engine.tiny import engine
from tools.make_tiny import make_tiny
from wancore.engine import Engine


@dataclass(frozen=True)
class Models:
    """Folders of tiny models, and the module file of the same VACE."""

    base: Path
    merged: Path
    module: Path


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Models:
    root = tmp_path_factory.mktemp("vace")
    base = make_tiny("t2v", root / "t2v")
    return Models(
        base, making.make_merged(base, root / "vace"), making.make_module(root / "module.safetensors")
    )


@pytest.fixture(scope="session")
def two_experts(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("vace-fun")
    base = make_tiny("t2v-a14b", root / "t2v-a14b")
    return making.make_merged(base, root / "fun", ("high_noise_model", "low_noise_model"))


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> dict[str, Path]:
    """Inputs by name."""
    folder = tmp_path_factory.mktemp("inputs")
    boxes = folder / "boxes.json"
    boxes.write_text(json.dumps([[4, 5, 20, 18], [22, 9, 45, 30]]))
    return {
        "video": making.write_video(folder / "video.mp4"),
        "other": making.write_video(folder / "other.mp4", start=20),
        "clip": making.write_video(folder / "clip.mp4", frames=4),
        "wide": making.write_video(folder / "wide.mp4", frames=5, width=128, height=48),
        "mask": making.write_mask(folder / "mask.png"),
        "masks": making.write_mask_video(folder / "masks.mp4"),
        "image": making.write_image(folder / "image.png"),
        "last": making.write_image(folder / "last.png", 40, 60, shade=200),
        "portrait": making.write_image(folder / "portrait.png", 30, 50, shade=120),
        "portrait_mask": making.write_mask(folder / "portrait_mask.png", 30, 50),
        "boxes": boxes,
    }


@pytest.fixture(scope="session")
def running() -> Engine:
    """One engine for all requests, so that weights are read once."""
    return engine()
