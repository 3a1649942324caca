"""Several predictions in one run of the blocks: their rows one after another, each attending to itself.

Grids and text lengths may differ; nothing is padded. Predictions with adapters, skipped blocks or
rows without text run one at a time, with the same results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from wancore.transformer.attached import Attached
from wancore.transformer.keys import KeySet, TextKeys
from wancore.transformer.levels import Levels
from wancore.transformer.model import WanTransformer
from wancore.transformer.plan import Plan, Span
from wancore.transformer.predict import Inputs, predict
from wancore.transformer.rope import Rotation
from wancore.transformer.runblocks import run_blocks
from wancore.transformer.stream import Stream


def predict_batch(
    model: WanTransformer, batch: Sequence[Inputs], attached: Attached | None = None
) -> list[Tensor]:
    """The velocity of each input, as `predict` would give it."""
    if len(batch) == 1 or not packable_together(batch):
        return [predict(model, inputs, attached) for inputs in batch]
    e, e0 = model.embed_time(torch.cat([inputs.layout.times(inputs.t) for inputs in batch]))
    rows = [sequence(model, inputs) for inputs in batch]
    lengths = [len(r) for r in rows]
    stream = packed_stream(model, batch, lengths)
    keys = [
        packed_keys(per_sample, lengths) for per_sample in zip(*(i.text.keys for i in batch), strict=True)
    ]
    x = model(torch.cat(rows), e0, stream, keys)
    velocities, level = [], 0
    for inputs, own in zip(batch, x.split(lengths), strict=True):
        layout = inputs.layout
        grid = (layout.canvas.total, layout.canvas.height, layout.canvas.width)
        own_e = e[level : level + layout.levels.count]
        velocities.append(model.velocity(own[: layout.canvas.rows], own_e, layout.canvas_levels, grid))
        level += layout.levels.count
    return velocities


def packable_together(batch: Sequence[Inputs]) -> bool:
    """Whether each may run beside others, and all of them read text or none does."""
    return all(packable(inputs) for inputs in batch) and len({len(i.text.keys) for i in batch}) == 1


def packable(inputs: Inputs) -> bool:
    whole_text = inputs.layout.text_rows == sum_rows(inputs)
    return whole_text and not inputs.data and not inputs.skip and inputs.run is run_blocks


def sum_rows(inputs: Inputs) -> int:
    return inputs.layout.canvas.rows + sum(len(s.tokens) for s in inputs.segments)


def sequence(model: WanTransformer, inputs: Inputs) -> Tensor:
    x = model.embed(inputs.latents)
    return torch.cat([x, *(inputs.segments[i].tokens.to(x) for i in inputs.layout.order)])


def packed_stream(model: WanTransformer, batch: Sequence[Inputs], lengths: Sequence[int]) -> Stream:
    spans: list[tuple[Span, tuple[Span, ...]]] = []
    start = 0
    for inputs, length in zip(batch, lengths, strict=True):
        plan = inputs.layout.plan or Plan.blocks([length])
        spans += [
            ((a + start, b + start), tuple((c + start, d + start) for c, d in k)) for (a, b), k in plan.spans
        ]
        start += length
    levels = Levels.joined([inputs.layout.levels for inputs in batch], lengths, model.device)
    rotation = Rotation(
        torch.cat([i.layout.rotation.cos for i in batch]), torch.cat([i.layout.rotation.sin for i in batch])
    )
    return Stream(levels, rotation, start, start, Plan(tuple(spans)), model.attend)


def packed_keys(keys: Sequence[TextKeys], lengths: Sequence[int]) -> TextKeys:
    """Each sample's sets, read by its own rows only."""
    text: list[KeySet] = []
    image: list[KeySet] = []
    start = 0
    for own, length in zip(keys, lengths, strict=True):
        text += [shifted(s, start, length) for s in own.text]
        image += [shifted(s, start, length) for s in own.image]
        start += length
    return TextKeys(tuple(text), tuple(image))


def shifted(keys: KeySet, start: int, length: int) -> KeySet:
    a, b = keys.rows or (0, length)
    return replace(keys, rows=(start + a, start + b))
