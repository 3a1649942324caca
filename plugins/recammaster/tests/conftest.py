from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from wancore_recammaster import presets

from plugins.recammaster.tests import making
from tests.engine.tiny import Remembering, engine
from wancore.testing import make_tiny


@dataclass(frozen=True)
class Models:
    """Folders of tiny models, and the module file of the same ReCamMaster."""

    base: Path
    merged: Path
    module: Path


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Models:
    root = tmp_path_factory.mktemp("recammaster")
    base = make_tiny("t2v", root / "t2v")
    module = making.make_module(root / "recammaster.safetensors")
    return Models(base, making.make_merged(base, root / "recammaster"), module)


@pytest.fixture(scope="session")
def source(tmp_path_factory) -> Path:
    return making.write_video(tmp_path_factory.mktemp("source") / "source.mp4", frames=20)


@pytest.fixture(scope="session")
def camera_files(tmp_path_factory) -> dict[str, Path]:
    """Camera paths: two released ones in one file, a pan to the left of 9 frames and one of 18."""
    folder = tmp_path_factory.mktemp("cameras")
    pan = presets.poses("pan_left", 18)
    documents = {
        "released": {
            f"frame{i}": {name: released(presets.poses(preset, 81)[i]) for name, preset in NAMED.items()}
            for i in range(81)
        },
        "short": pan[:9].tolist(),
        "rows": pan[:9, :3].tolist(),
        "long": pan.tolist(),
    }
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document))
    return {name: folder / f"{name}.json" for name in documents}


NAMED = {"cam02": "pan_left", "cam09": "arc_left"}


def released(pose) -> str:
    """A pose as the released file has it: Unreal axes, row vectors, centimetres."""
    columns = np.diag((1.0, -1.0, 1.0, 1.0)) @ pose  # into a left-handed world
    columns[:3, 3] *= 100
    columns[:3, 1] *= -1
    rows = columns[:, [2, 0, 1, 3]].T
    return "".join("[" + " ".join(f"{number:.9g}" for number in row) + "] " for row in rows)


@pytest.fixture(scope="session")
def remembering() -> Remembering:
    return Remembering(engine())
