"""What a checkpoint says it is best run with: the `wancore` section of its config.json.

{"wancore": {"defaults": {"width": 128, "height": 128, "frames": 33, "fps": 16, "steps": 12,
                          "solver": "unipc", "shift": 3.0, "guidance": [5.0], "negative_prompt": "",
                          "pictures": {"image": "face.png"}}}}
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from wancore.errors import CheckpointError

if TYPE_CHECKING:
    from wancore.checkpoints.view import FileView

SECTION = "wancore"


def beside(path: Path) -> Path:
    """A file's bare name. A model may not say that files from elsewhere are to be read."""
    if path.name != str(path):
        raise ValueError("the name of a file beside the checkpoint")
    return path


class ModelDefaults(BaseModel):
    """Values for what a request leaves open; None: the family's own. Units and ranges are a request's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int | None = Field(default=None, ge=16, le=8192)
    height: int | None = Field(default=None, ge=16, le=8192)
    frames: int | None = Field(default=None, ge=1, le=100_000)
    fps: float | None = Field(default=None, gt=0, le=240)
    steps: int | None = Field(default=None, ge=1, le=1000)
    solver: str | None = None
    shift: float | None = Field(default=None, gt=0, le=100)
    guidance: tuple[float, ...] | None = Field(default=None, min_length=1, max_length=2)
    negative_prompt: str | None = None
    pictures: dict[str, Annotated[Path, AfterValidator(beside)]] | None = Field(
        default=None, description="files beside the checkpoint, by role, for requests without a picture"
    )


class Section(BaseModel):
    """The whole `wancore` section."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    defaults: ModelDefaults = ModelDefaults()


def model_defaults(view: FileView) -> ModelDefaults:
    """The defaults in a checkpoint's config.json; all None without them. Raises `CheckpointError`."""
    if view.config is None or SECTION not in view.config:
        return ModelDefaults()
    try:
        defaults = Section.model_validate(view.config[SECTION]).defaults
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in (SECTION, *first["loc"]))
        raise CheckpointError(view.path, f"config.json: {where}: {first['msg']}") from error
    folder = view.path if view.path.is_dir() else view.path.parent
    pictures = {role: folder / name for role, name in (defaults.pictures or {}).items()}
    return defaults.model_copy(update={"pictures": pictures or None})
