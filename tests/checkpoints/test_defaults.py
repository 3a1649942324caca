"""What a checkpoint says it is best run with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wancore.checkpoints.defaults import ModelDefaults, model_defaults
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError


def view(config: dict[str, Any] | None) -> FileView:
    return FileView(Path("model"), {}, {}, config)


def test_the_section_is_read() -> None:
    section = {"defaults": {"width": 128, "height": 96, "guidance": [5.0], "negative_prompt": ""}}
    found = model_defaults(view({"dim": 256, "wancore": section}))
    assert (found.width, found.height, found.guidance, found.negative_prompt) == (128, 96, (5.0,), "")
    assert found.steps is None


@pytest.mark.parametrize("config", [None, {}, {"dim": 256}, {"wancore": {}}])
def test_without_it_everything_is_left_to_the_family(config: dict[str, Any] | None) -> None:
    assert model_defaults(view(config)) == ModelDefaults()


@pytest.mark.parametrize(
    ("section", "named"),
    [
        ({"defaults": {"width": 8}}, "wancore.defaults.width"),
        ({"defaults": {"colour": "red"}}, "wancore.defaults.colour"),
        ({"default": {}}, "wancore.default"),
        ([], "wancore"),
    ],
)
def test_a_mistake_names_the_field(section: object, named: str) -> None:
    with pytest.raises(CheckpointError, match=named):
        model_defaults(view({"wancore": section}))


def test_a_checkpoint_brings_pictures_from_beside_it_only(tmp_path: Path) -> None:
    def pictures(name: str) -> dict[str, Path] | None:
        section = {"defaults": {"pictures": {"image": name}}}
        return model_defaults(FileView(tmp_path / "model", {}, {}, {"wancore": section})).pictures

    assert pictures("face.png") == {"image": tmp_path / "face.png"}
    with pytest.raises(CheckpointError, match="beside the checkpoint"):
        pictures("../face.png")
