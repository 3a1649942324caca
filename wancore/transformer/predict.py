"""One velocity prediction from everything that conditions it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from wancore.errors import Conflict
from wancore.transformer.adapter import Adapter
from wancore.transformer.attached import Attached, Bound, Scope
from wancore.transformer.canvas import Segment
from wancore.transformer.context import Context
from wancore.transformer.keys import TextKeys
from wancore.transformer.layout import Layout
from wancore.transformer.model import WanTransformer
from wancore.transformer.rows import add_rows
from wancore.transformer.runblocks import RunBlocks, run_blocks


@dataclass(frozen=True)
class EmbeddedText:
    """Text (and image tokens) of one variant, as one expert reads it: embedded once per request."""

    text: Tensor | None
    image: Tensor | None
    keys: list[TextKeys]

    @classmethod
    def of(
        cls,
        model: WanTransformer,
        text: Tensor | None,
        image: Tensor | None = None,
        length: int | None = None,
    ) -> EmbeddedText:
        """`text` [n, text_dim] from the text encoder, `image` [L, image_dim] from CLIP.

        `length`: rows that the text is padded to, where the family departs from the model's own.
        """
        embedded = model.embed_text(text, length) if text is not None else None
        tokens = model.embed_image(image) if image is not None else None
        return cls(embedded, tokens, model.text_keys(embedded, tokens))


NO_TEXT = EmbeddedText(None, None, [])


@dataclass(frozen=True)
class Inputs:
    """One pass: what the base reads, and what the adapters read.

    `latents` [in_dim, F, h, w]; `t` [1] or [K]: the running timestep, 0..1000;
    `data`: each active slot's conditioning; `skip`: blocks left out.
    """

    latents: Tensor
    t: Tensor
    layout: Layout
    text: EmbeddedText = NO_TEXT
    segments: Sequence[Segment] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    scope: Scope = field(default_factory=Scope)
    skip: Collection[int] = ()
    run: RunBlocks = run_blocks

    @property
    def rows(self) -> int:
        """Tokens in all, segments included."""
        return len(self.layout.rotation.cos)

    def reading(self, latents: Tensor, t: Tensor) -> Inputs:
        """The same of other latents at another timestep."""
        return replace(self, latents=latents, t=t)


def predict(model: WanTransformer, inputs: Inputs, attached: Attached | None = None) -> Tensor:
    """Velocity [out_dim, F, h, w] float32 of the whole canvas."""
    layout, stream = inputs.layout, inputs.layout.stream(model.attend)
    e, e0 = model.embed_time(layout.times(inputs.t))
    x = embed_canvas(model, inputs, attached)
    for _, adapter, data in active(attached, inputs.data):
        if (added := adapter.time(data)) is not None:
            e0 = e0 + added

    def blocks(x: Tensor) -> Tensor:
        bound = Bound((), ())
        if attached is not None:
            context = Context(
                model, layout, stream, inputs.latents, x, layout.times(inputs.t), e, e0,
                inputs.text.text, inputs.text.image, inputs.text.keys, None,
            )  # fmt: skip
            bound = attached.bind(context, inputs.data, inputs.scope)
        segments = [inputs.segments[i].tokens.to(x) for i in layout.order]
        rows = torch.cat([x, *segments]) if segments else x
        out: Tensor = model(rows, e0, stream, inputs.text.keys, bound.parts, bound.chains, inputs.skip)
        return out[: layout.canvas.rows]

    x = inputs.run(blocks, x, e, e0)
    grid = (layout.canvas.total, layout.canvas.height, layout.canvas.width)
    return model.velocity(x, e, layout.canvas_levels, grid)


def embed_canvas(model: WanTransformer, inputs: Inputs, attached: Attached | None) -> Tensor:
    """Canvas tokens [n, D]: the patch embedding (or its one replacement) plus constant tokens."""
    present = active(attached, inputs.data)
    replaced = {
        name: tokens
        for name, adapter, data in present
        if (tokens := adapter.embed(inputs.latents, data)) is not None
    }
    if len(replaced) > 1:
        raise Conflict("the patch embedding", *list(replaced)[:2])
    x = next(iter(replaced.values())) if replaced else model.embed(inputs.latents)
    if len(x) != inputs.layout.canvas.rows:
        raise ValueError(f"{len(x)} tokens on a canvas of {inputs.layout.canvas.rows}")
    added = [adapter.tokens(data) for _, adapter, data in present]
    return add_rows(x, [rows for rows in added if rows is not None])


def active(attached: Attached | None, data: Mapping[str, Any]) -> list[tuple[str, Adapter, Any]]:
    """Slot, adapter and conditioning of those that take part in this pass, in the order of their slots."""
    if attached is None:
        return []
    return [(name, adapter, data[name]) for name, adapter in attached.adapters.items() if name in data]
