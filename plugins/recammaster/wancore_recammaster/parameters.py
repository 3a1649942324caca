"""What a request can say to ReCamMaster."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from wancore.plugins.inputs import ParameterModel
from wancore_recammaster.names import PRESETS, Preset

Way = Preset | Annotated[int, Field(ge=1, le=len(PRESETS))]


class Parameters(ParameterModel):
    """What only this family takes."""

    camera: Way | tuple[Way, ...] | None = Field(
        default=None,
        description=(
            "a camera path, by name or number, or a list with one for each clip; default: pan_right. "
            + ", ".join(f"{i} {name}" for i, name in enumerate(PRESETS, start=1))
        ),
    )
    camera_name: str | tuple[str, ...] | None = Field(
        default=None, description="which camera of the camera file, or a list with one for each clip"
    )
    relative_to: Literal["path", "source"] = Field(
        default="path",
        description=(
            "what the camera file's poses are relative to: the path's own first pose, or the first camera of "
            "the source video, in whose axes they then are"
        ),
    )
    clips: Annotated[int, Field(ge=1, le=50)] = Field(
        default=1,
        description="the source is filmed again in this many clips of equal length, one after the other",
    )
