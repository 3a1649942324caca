"""What a request can say to Stand-In."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from wancore.plugins.inputs import ParameterModel

Box = tuple[float, float, float, float]


class Parameters(ParameterModel):
    """What only this family takes."""

    box: Box | None = Field(
        default=None,
        description=(
            "the face in the picture: left, top, right, bottom in pixels; the crop is half as large again. "
            "Default: the whole picture"
        ),
    )
    strength: Annotated[float, Field(ge=0, le=10)] = Field(
        default=1.0, description="how strongly the face's own weights act on what is read of it"
    )

    @model_validator(mode="after")
    def has_an_inside(self) -> Self:
        if self.box is not None and (self.box[0] >= self.box[2] or self.box[1] >= self.box[3]):
            raise ValueError(
                "box must be left, top, right, bottom, with left below right and top below bottom"
            )
        return self
