"""Several prompts along one clip: each part of it reads its own prompt.

Source: the video attention split of kijai/ComfyUI-WanVideoWrapper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any

from torch import Tensor, nn

from wancore.errors import Conflict, InvalidInput
from wancore.kernels.attention import Attend
from wancore.sampling.method import Call, Method, Run
from wancore.transformer.adapter import Adapter, Pieces, Values
from wancore.transformer.canvas import Canvas
from wancore.transformer.context import Context
from wancore.transformer.keys import KeySet, read_all
from wancore.transformer.layout import Layout
from wancore.transformer.plan import Plan
from wancore_guidance.parameters import PromptSplitParameters

SLOT = "prompt-split"


def chunk_sizes(frames: int, parts: int) -> list[int]:
    """Frames of each independent stretch of self-attention: as equal as can be, longer ones first."""
    count = min(parts, frames)
    return [frames // count + (i < frames % count) for i in range(count)]


def prompt_of_frame(frames: int, parts: int) -> list[int]:
    """The prompt that each frame reads: equal parts rounded down, the last taking the rest.

    Not the same division as that of `chunk_sizes` where `frames` is no multiple of `parts`.
    """
    length = max(1, frames // parts)
    return [min(frame // length, parts - 1) for frame in range(frames)]


def split_plan(canvas: Canvas, rows: int, parts: int) -> Plan:
    """Stretches of the clip that do not see each other.

    Service frames belong to the stretch next to them. The segments after the canvas, up to `rows`
    rows in all, are seen by every stretch and see everything.
    """
    edges = [canvas.head + edge for edge in accumulate(chunk_sizes(canvas.frames, parts), initial=0)]
    edges[0], edges[-1] = 0, canvas.total
    stretches = [(a * canvas.frame_rows, b * canvas.frame_rows) for a, b in pairwise(edges)]
    if rows == canvas.rows:
        return Plan(tuple((stretch, (stretch,)) for stretch in stretches))
    segments = (canvas.rows, rows)
    return Plan((*((s, (s, segments)) for s in stretches), (segments, ((0, rows),))))


def prompt_rows(canvas: Canvas, text_rows: int, parts: int) -> list[tuple[int, tuple[int, int]]]:
    """(prompt, rows that read it), in row order; service frames read what the frame next to them reads.

    Rows after the canvas read the first prompt.
    """
    clip = prompt_of_frame(canvas.frames, parts)
    frames = [clip[0]] * canvas.head + clip + [clip[-1]] * canvas.tail
    starts = [0] + [i for i in range(1, len(frames)) if frames[i] != frames[i - 1]]
    stops = [*starts[1:], len(frames)]
    size = canvas.frame_rows
    rows = [(frames[a], (a * size, b * size)) for a, b in zip(starts, stops, strict=True)]
    return rows if text_rows == canvas.rows else [*rows, (0, (canvas.rows, text_rows))]


class SplitTextSet(nn.Module):
    """Text attention in which every part of the clip reads its prompt."""

    def forward(self, q: Tensor, sets: Sequence[KeySet], attend: Attend, own: tuple[KeySet, ...]) -> Tensor:
        return read_all(q, own, attend)


class PartPrompts(Adapter):
    """Keys and values of the prompts, made by each block's own text attention. No weights."""

    lifetime = "window"

    def __init__(self) -> None:
        super().__init__()
        self.text_set = SplitTextSet()

    def pieces(self, i: int) -> Pieces:
        return Pieces(text_set=self.text_set)

    def values(self, context: Context) -> list[Values]:
        """`context.data`: encoder rows [n, C] of the second and further prompts."""
        model, layout = context.model, context.layout
        if any(len(keys.text) != 1 or keys.text[0].rows is not None for keys in context.keys):
            raise Conflict("the text layout", "prompt-split", "the model family")
        embedded = [model.embed_text(rows.to(model.device)) for rows in context.data]
        rows = prompt_rows(layout.canvas, layout.text_rows, len(embedded) + 1)
        values = []
        for block, keys in zip(model.layers, context.keys, strict=True):
            sets = [keys.text[0], *(block.text_keys(e).text[0] for e in embedded)]
            values.append(Values(data=tuple(replace(sets[prompt], rows=span) for prompt, span in rows)))
        return values


class PromptSplit(Method):
    """Text attention is split in the passes that carry the prompt; self-attention in all, at chosen steps."""

    def __init__(self, parameters: PromptSplitParameters, run: Run) -> None:
        if run.windows is not None:
            raise InvalidInput("methods", "prompt-split", "a clip without overlapping windows")
        outside = [i for i in parameters.steps if not 0 <= i < run.steps]
        if outside:
            raise InvalidInput("methods.prompt-split.steps", outside, f"steps from 0 to {run.steps - 1}")
        self.parts, self.steps, self.main = len(parameters.prompts) + 1, frozenset(parameters.steps), run.main
        self.texts = tuple(run.encode(text) for text in parameters.prompts)
        self._layouts: dict[int, tuple[Layout, Layout]] = {}  # one object per layout: values are kept by it

    def adapters(self) -> Mapping[str, Adapter]:
        return {SLOT: PartPrompts()}

    def data(self, call: Call) -> Mapping[str, Any]:
        return {SLOT: self.texts} if call.name in self.main else {}

    def layout(self, call: Call, layout: Layout) -> Layout:
        if call.step.index not in self.steps:
            return layout
        if layout.plan is not None:
            raise Conflict("the attention plan", "prompt-split", "the model family")
        plain, split = self._layouts.get(id(layout), (None, layout))
        if plain is not layout:
            plan = split_plan(layout.canvas, len(layout.rotation.cos), self.parts)
            split = replace(layout, plan=plan)
            self._layouts[id(layout)] = layout, split
        return split
