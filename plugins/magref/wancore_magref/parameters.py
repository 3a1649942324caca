"""What a request can say to MAGREF."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from wancore.plugins.inputs import ParameterModel


class Parameters(ParameterModel):
    """What only this family takes."""

    places: tuple[Annotated[int, Field(ge=0, le=7)], ...] | None = Field(
        default=None,
        description=(
            "for each picture the number of its block on the canvas, row by row from 0; default: in order. "
            "1, 2 and 3 pictures: so many columns; 4: 2 x 2; up to 6: 3 x 2; up to 8: 4 x 2 blocks"
        ),
    )
