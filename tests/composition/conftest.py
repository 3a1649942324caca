from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugins.recammaster.tests.making import make_module as make_recammaster
from plugins.recammaster.tests.making import write_video
from plugins.talking.tests.tiny import speech, write_module, write_speech_encoder, write_wav
from plugins.vace.tests.making import make_merged, make_module, write_image
from tests.cli.conftest import wancore as wancore
from tests.composition.families import Keeping, Late, Plain, Plugin
from tests.engine.tiny import Remembering, small
from tests.lora.adapters import low_rank, write
from wancore.checkpoints.layout import find_parts
from wancore.engine import Engine
from wancore.plugins import PluginManager
from wancore.request import Request
from wancore.runtime.settings import Settings
from wancore.testing import make_tiny
from wancore.transformer.load import load_transformer


@pytest.fixture(scope="session")
def running() -> Engine:
    """The installed families, and the tests' own."""
    plugins = PluginManager()
    families = (
        Plain("wave", 0.3),
        Plain("ripple", 0.7),
        Plain("front", 0.1, head=1),
        Keeping(),
        Late("late"),
        Late("later"),
    )
    plugins.register(Plugin(*families), name="composition")
    return Engine(Settings(device="cpu"), plugins)


@dataclass(frozen=True)
class Stage:
    """A tiny text-to-video model, modules of several families for it, and their inputs."""

    remembering: Remembering
    model: Path
    merged: Path  # the same model with VACE in it
    files: Mapping[str, Path] = field(default_factory=dict)

    @property
    def engine(self) -> Engine:
        return self.remembering.engine

    def attach(self, *names: str) -> list[dict[str, Any]]:
        """Attachments by short names: `vace`, `references` (VACE with two), `audio`, or a test's family."""
        files = self.files
        known = {
            "vace": {
                "name": "vace", "modules": [str(files["vace"])], "inputs": {"video": files["video"]},
                "params": {"task": "control"},
            },
            "references": {
                "name": "vace", "modules": [str(files["vace"])],
                "inputs": {"reference[0]": files["image"], "reference[1]": files["portrait"]},
            },
            "audio": {
                "name": "infinitetalk", "modules": [str(files["audio module"])],
                "inputs": {"audio": files["speech"]},
            },
        }  # fmt: skip
        return [known.get(name, {"name": name}) for name in names]

    def request(self, *attached: str, **fields: Any) -> Request:
        """By default the base family leads; `steps`, guidance and shift are the same for every lead."""
        common = {"steps": 2, "guidance": (3.0,), "shift": 5.0, "solver": "unipc", "fps": 16}
        given = common | {"attachments": self.attach(*attached)} | fields
        return small(given.pop("model", self.model), **given)

    def recammaster(self, *attached: str, **fields: Any) -> Request:
        own = {"modules": [str(self.files["recammaster"])], "inputs": {"source_video": self.files["video"]}}
        return self.request(*attached, **own | fields)

    def talking(self, family: str, *attached: str, **fields: Any) -> Request:
        """A talking family leads on the text-to-video model, in two windows with the given fields."""
        inputs = {"image": self.files["portrait"], "audio": self.files["speech"]}
        own = {"family": family, "modules": [str(self.files["audio module"])], "inputs": inputs}
        windows = {"params": {"window": 9, "motion_frame": 5}, "frames": 13, "solver": "euler",
                   "steps": 1}  # fmt: skip
        return self.request(*attached, **own | windows | fields)

    def frames(self, request: Request) -> np.ndarray:
        return self.remembering.made(request).frames


@pytest.fixture(scope="session")
def stage(running: Engine, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    root = tmp_path_factory.mktemp("composition")
    model = make_tiny("t2v", root / "t2v")
    write_speech_encoder(model / "wav2vec2-chinese-base.safetensors")
    transformer = find_parts(model).transformer
    assert transformer is not None
    pairs = low_rank(load_transformer(transformer), rank=4, scale=0.5)
    files = {
        "vace": make_module(root / "modules" / "vace.safetensors"),
        "recammaster": make_recammaster(root / "modules" / "recammaster.safetensors"),
        "audio module": write_module(root / "modules", "infinitetalk"),
        "lora": write(root / "lora.safetensors", pairs),
        "video": write_video(root / "video.mp4", frames=9, width=64, height=48),
        "image": write_image(root / "image.png"),
        "portrait": write_image(root / "portrait.png", 30, 50, shade=120),
        "speech": write_wav(root / "speech.wav", speech(1.0)),
    }
    return Stage(Remembering(running), model, make_merged(model, root / "vace"), files)
