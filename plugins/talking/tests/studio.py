"""What tests of talking families start from: models made once, files made on demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest

from plugins.talking.tests.tiny import make_model, merged, speech, write_module, write_picture, write_wav
from tests.engine.tiny import Made, engine
from wancore.engine import Engine
from wancore.request import Request, parse_request

SMALL = {
    "prompt": "a person talks",
    "size": "32x32",
    "steps": 2,
    "seed": 7,
    "fps": 25,
    "params": {"window": 13, "motion_frame": 5},
}


@dataclass
class Studio:
    """Makes requests of one family against a tiny model. `folder`: for its files.

    `engine` has the model loaded; `made` runs each request once, however many tests ask for it.
    """

    family: str
    model: Path
    folder: Path
    engine: Engine
    remembered: dict[str, Made] = field(default_factory=dict)

    @cached_property
    def module(self) -> Path:
        return write_module(self.folder, self.family)

    @cached_property
    def merged(self) -> Path:
        return merged(self.model, self.family, self.folder)

    @cached_property
    def picture(self) -> Path:
        return write_picture(self.folder / "face.png")

    def wav(self, seconds: float, seed: int = 0) -> Path:
        return write_wav(self.folder / f"speech-{seconds}-{seed}.wav", speech(seconds, seed))

    def request(self, seconds: float = 1.0, params: dict[str, Any] | None = None, **fields: Any) -> Request:
        inputs = fields.pop("inputs", None) or {"image": self.picture, "audio": self.wav(seconds)}
        given = {
            **SMALL, "model": str(self.model), "modules": (str(self.module),), "inputs": inputs,
            **fields, "params": {**SMALL["params"], **(params or {})},
        }  # fmt: skip
        return parse_request({k: v for k, v in given.items() if v is not None})

    def made(self, *args: Any, **fields: Any) -> Made:
        request = self.request(*args, **fields)
        key = request.model_dump_json()
        if key not in self.remembered:
            self.remembered[key] = Made.of(self.engine.generate(request))
        return self.remembered[key]


MakeStudio = Callable[[str], Studio]


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> MakeStudio:
    """The studio of a family; both have one model and one engine."""
    model, shared = make_model(tmp_path_factory.mktemp("talking") / "model"), engine()
    return cache(lambda family: Studio(family, model, tmp_path_factory.mktemp(family), shared))
