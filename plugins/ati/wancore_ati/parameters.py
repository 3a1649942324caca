"""What a request can say to ATI."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from wancore.plugins.inputs import ParameterModel

Pixels = Annotated[int, Field(ge=1, le=65536)]


class Parameters(ParameterModel):
    """What only this family takes."""

    temperature: Annotated[float, Field(ge=0, le=1000)] = Field(
        default=220.0, description="how closely what a point carries along keeps to it; low values spread it"
    )
    topk: Annotated[int, Field(ge=1, le=10)] = Field(
        default=2, description="how many of the nearest tracks add up in one place"
    )
    picture: tuple[Pixels, Pixels] | None = Field(
        default=None,
        description="size of the picture that has the tracks; default: the file's, or the video's",
    )
