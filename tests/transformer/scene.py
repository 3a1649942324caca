"""One prediction, run through the product and through the textbook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tests.transformer.models import noise
from tests.transformer.textbook import Edit, Sequence, Textbook, grid, rope_factors
from wancore.transformer.adapter import Adapter
from wancore.transformer.attached import Attached, Scope
from wancore.transformer.canvas import Canvas, Clock, Segment
from wancore.transformer.layout import Layout, build_layout
from wancore.transformer.model import WanTransformer
from wancore.transformer.plan import Plan
from wancore.transformer.predict import EmbeddedText, Inputs, predict

SMALL = Canvas(2, 2, 3)


@dataclass(frozen=True)
class Scene:
    """`times` [rows]: the timestep of each row in memory order, for the textbook."""

    model: WanTransformer
    canvas: Canvas = SMALL
    t: tuple[float, ...] = (700.0,)
    clock: Clock = field(default_factory=Clock)
    segments: tuple[Segment, ...] = ()
    plan: Plan | None = None
    frame_levels: bool = False
    skip: tuple[int, ...] = ()
    text_rows: int = 4
    image_rows: int = 0

    @property
    def latents(self) -> Tensor:
        c = self.canvas
        return noise(self.model.config.in_dim, c.total, 2 * c.height, 2 * c.width, seed=1)

    @property
    def text(self) -> Tensor:
        return noise(self.text_rows, self.model.config.text_dim, seed=2)

    @property
    def image(self) -> Tensor | None:
        return noise(self.image_rows, self.model.config.image_dim or 0, seed=3) if self.image_rows else None

    @property
    def layout(self) -> Layout:
        return build_layout(
            self.canvas, self.model.frequencies, self.clock, self.segments, self.plan, self.frame_levels
        )

    def inputs(self, data: Mapping[str, Any] | None = None, scope: Scope | None = None) -> Inputs:
        return Inputs(
            self.latents, torch.tensor(self.t), self.layout,
            EmbeddedText.of(self.model, self.text, self.image),
            self.segments, data or {}, scope or Scope(), self.skip,
        )  # fmt: skip

    def predict(self, adapters: Mapping[str, Adapter] | None = None, **data: Any) -> Tensor:
        """What the product says; an adapter without data of its own gets None as data."""
        adapters = adapters or {}
        attached = Attached(adapters, self.model.config.num_layers)
        return predict(self.model, self.inputs({name: data.get(name) for name in adapters}), attached)

    def textbook(
        self,
        edits: Mapping[str, Edit] | None = None,
        times: Tensor | None = None,
        mask: Tensor | None = None,
        added: Tensor | None = None,
        embedded: Tensor | None = None,
        time_add: Tensor | None = None,
    ) -> Tensor:
        """The velocity by the textbook; canvas and segments in memory order.

        `added`: to the canvas tokens; `embedded`: in their place.
        """
        book, c = Textbook.of(self.model, edits), self.canvas
        order = sorted(self.segments, key=lambda s: not s.text)
        x = book.embed(self.latents) if embedded is None else embedded.double()
        x = torch.cat([x if added is None else x + added, *(s.tokens.double() for s in order)])
        positions = rope_factors(
            grid(c.total, c.height, c.width, (c.origin, 0, 0)), self.model.config.head_dim
        )
        factors = torch.cat([positions, *(s.rope(c, self.model.frequencies) for s in order)])
        reads = torch.cat(
            [torch.ones(c.rows, dtype=torch.bool), *(torch.full((len(s.tokens),), s.text) for s in order)]
        )
        if times is None:
            own = [torch.full((len(s.tokens),), self.t[-1] if s.t is None else s.t) for s in order]
            times = torch.cat([torch.full((c.rows,), self.t[0]), *own])
        text = book.embed_text(self.text, self.model.config.text_len)
        image = self.model.embed_image(self.image).detach().double() if self.image is not None else None
        rows = book.run(
            Sequence(x, times, factors, reads, mask), text, image, self.model.config.num_layers,
            time_add, self.skip,
        )  # fmt: skip
        return book.velocity(rows[: c.rows], times[: c.rows], (c.total, c.height, c.width))
