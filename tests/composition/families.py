"""Small families without weights, to be combined with others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from wancore_wan.family import WanFamily

from wancore.plugins import hookimpl
from wancore.plugins.conditioning import Conditioning, Payload
from wancore.plugins.family import Base, Carry, FamilyBase, Lead, Role, Window
from wancore.plugins.inputs import ParameterModel, parse_parameters
from wancore.request import Request
from wancore.sampling.begin import Begin
from wancore.sampling.clamp import KeepFrames
from wancore.sampling.start import StartFrom
from wancore.transformer.adapter import Adapter, Pieces, Values
from wancore.transformer.canvas import Along, Clock
from wancore.transformer.context import Context
from wancore.transformer.rows import Rows


class Strength(ParameterModel):
    strength: float = Field(default=1.0, description="how much is added")


class Add(nn.Module):
    """A residual for the rows of the clip, and no others."""

    def forward(self, x: Tensor, data: tuple[int, Tensor]) -> Rows:
        start, rows = data
        return Rows(rows.to(x), start)


class Wave(Adapter):
    """Adds a wave over the channels to every row of the clip, after each block."""

    def pieces(self, i: int) -> Pieces:
        return Pieces(after_block=Add())

    def values(self, context: Context) -> Sequence[Values]:
        start, stop = context.layout.canvas.clip
        wave = torch.sin(torch.arange(context.x.shape[1]) * context.data)
        return [Values(data=(start, wave.expand(stop - start, -1) * 0.3))] * context.model.config.num_layers


class Plain(FamilyBase):
    """An attachment whose residual has a frequency of its own."""

    roles: frozenset[Role] = frozenset({"attachment"})
    inputs = ()
    parameters = Strength

    def __init__(self, name: str, frequency: float, head: int = 0) -> None:
        self.id = self.name = self.help = name
        self.frequency, self.head = frequency, head
        self.claims = frozenset({"canvas head"} if head else ())

    def recognise(self, file: Any) -> None:
        return None

    def adapter(self, base: Base, weights: Any, place: Any) -> Adapter:
        return Wave()

    def prepare(self, request: Any, base: Base, lead: Lead, tools: Any) -> float:
        return self.frequency * parse_parameters(Strength, request.params).strength

    def window(self, prepared: float, window: Window, carry: Carry | None, tools: Any) -> Conditioning:
        return Conditioning(data={self.id: {"on": Payload(prepared, Along.FIXED)}}, head=self.head)


class Keeping(WanFamily):
    """The base family with a known first frame: a clock with a level of its own, and a clamp."""

    id = "keeping"
    name = "Keeping"
    known = 0.25

    def recognise(self, file: Any) -> Any:
        claim = super().recognise(file)
        return claim and replace(claim, family=self.id, alternatives=("wan",))

    def window(self, prepared: Any, window: Window, carry: Carry | None, tools: Any) -> Conditioning:
        own = super().window(prepared, window, carry, tools)
        canvas = own.canvas
        level = torch.ones(canvas.total, dtype=torch.int64)
        level[0] = 0
        still = torch.full((16, 1, 2 * canvas.height, 2 * canvas.width), self.known)
        clock = Clock(level, torch.tensor([0.0, 1.0], dtype=torch.float64))
        return replace(own, clock=clock, hooks=(KeepFrames(still),))


class Late(FamilyBase):
    """Begins at a step or with a strength, from a latent of one value throughout."""

    name = help = "late"
    roles: frozenset[Role] = frozenset({"attachment"})

    class parameters(ParameterModel):
        step: int = 0
        strength: float = 1.0
        value: float = 0.0

    def __init__(self, name: str) -> None:
        self.id = self.name = name

    def begin(self, request: Request) -> Begin:
        given = parse_parameters(self.parameters, request.params)
        if given.strength != 1:
            return Begin(strength=given.strength, field="params.strength")
        return Begin(given.step, field="params.step")

    def prepare(self, request: Request, base: Base, lead: Lead, tools: Any) -> Conditioning:
        value = parse_parameters(self.parameters, request.params).value
        canvas = base.canvas(lead.width, lead.height, lead.frames)
        patch = base.transformer.patch_size
        shape = (base.latent_channels, canvas.frames, canvas.height * patch[1], canvas.width * patch[2])
        return Conditioning(hooks=(StartFrom(torch.full(shape, value)),))


class Plugin:
    """Registers families that have no distribution."""

    def __init__(self, *families: Any) -> None:
        self.families = families

    @hookimpl
    def wancore_families(self) -> Iterable[Any]:
        return self.families
