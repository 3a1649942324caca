from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from plugins.vace.tests import making
from tests.engine.tiny import Remembering, engine
from wancore.testing import make_tiny


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
    return making.write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="session")
def remembering() -> Remembering:
    return Remembering(engine())
