"""The family: what users may say, and what it contributes to a request."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from wancore.plugins.conditioning import Conditioning, Payload
from wancore.plugins.family import Base, Carry, FamilyBase, Lead, Place, Role, Window
from wancore.plugins.inputs import InputSpec, OwnType, ParameterModel, parse_parameters

if TYPE_CHECKING:
    from torch import Tensor

    from film_look.cube import Cube
    from wancore.checkpoints.view import FileView
    from wancore.engine.tools import Tools
    from wancore.request import Request
    from wancore.transformer.adapter import Adapter


class Parameters(ParameterModel):
    strength: float = Field(
        default=1.0, ge=-10, le=10, description="how much of the mood; below 0 its opposite"
    )
    amount: float = Field(default=1.0, ge=0, le=1, description="how much of the colour table")


def read_table(path: Path) -> Any:
    from film_look.cube import read_cube

    return read_cube(path)


COLOUR_TABLE = OwnType("colour table", "a three-dimensional table in the .cube format", read_table)


@dataclass(frozen=True)
class Prepared:
    strength: float
    amount: float
    table: Cube | None


class FilmLook(FamilyBase):
    """Attached to any family's request; its weights come from `wancore learn-look`."""

    id = "film-look"
    name = "Film look"
    help = "a mood learned from two prompts, and a colour table on the finished frames"
    roles: frozenset[Role] = frozenset({"attachment"})
    inputs = (InputSpec("table", COLOUR_TABLE, "colours of the finished frames: a .cube file"),)
    parameters = Parameters
    keys = ("film_look.directions",)
    needs = ("the text-to-video model it was learned from",)

    def check(self, request: Request, base: Base, weights: FileView) -> None:
        from film_look.steering import check

        check(base, weights)

    def adapter(self, base: Base, weights: FileView, place: Place) -> Adapter:
        from film_look.steering import load

        return load(base, weights, place)

    def prepare(self, request: Request, base: Base, lead: Lead, tools: Tools) -> Prepared:
        given = parse_parameters(Parameters, request.params)
        path = request.inputs.get("table")
        table = COLOUR_TABLE.open(path, "inputs.table") if path is not None else None
        return Prepared(given.strength, given.amount, table)

    def window(self, prepared: Prepared, window: Window, carry: Carry | None, tools: Tools) -> Conditioning:
        from wancore.transformer.canvas import Along

        if prepared.strength == 0:
            return Conditioning()
        return Conditioning(data={self.id: {"on": Payload(prepared.strength, Along.FIXED)}})

    def finish(self, prepared: Prepared, frames: Tensor) -> Tensor:
        return frames if prepared.table is None else prepared.table(frames, prepared.amount)
