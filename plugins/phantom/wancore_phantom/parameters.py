"""What a request can say to Phantom."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from wancore.plugins.inputs import ParameterModel


class Parameters(ParameterModel):
    """What only this family takes."""

    image_scale: Annotated[float, Field(ge=0, le=100)] = Field(
        default=5.0,
        description="guidance by the pictures; that of the text is `guidance`. Equal scales save a pass",
    )
