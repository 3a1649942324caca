"""From a pass of the guidance to a prediction of an expert."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from wancore.engine.compose import Composed
from wancore.engine.expert import Expert
from wancore.engine.texts import EmbeddedTexts
from wancore.sampling.guided import Pass
from wancore.sampling.hooks import Step
from wancore.sampling.method import Method
from wancore.transformer.attached import Scope
from wancore.transformer.canvas import Segment
from wancore.transformer.layout import Layout, build_layout
from wancore.transformer.predict import EmbeddedText, Inputs

Variants = tuple[tuple[str, str], ...]


@dataclass
class WindowPredictor:
    """Predicts passes of one window; embeds text and segments once per expert and variant.

    `texts`: shared by the windows of a request, since text outlives them. `window` and `overlap`
    number the sequential window, and the overlapping one within it.
    """

    expert: Callable[[str], Expert]
    conditioning: Composed
    window: int = 0
    overlap: int = 0
    methods: Sequence[Method] = ()
    texts: EmbeddedTexts = field(default_factory=EmbeddedTexts)
    _segments: dict[tuple[str, Variants], tuple[Segment, ...]] = field(default_factory=dict)
    _layouts: dict[tuple[object, ...], Layout] = field(default_factory=dict)

    def __call__(self, x: Tensor, asked: Pass) -> Tensor:
        """Velocity [C, F, h, w] of the pass at x [C, F, h, w] (noise channels only)."""
        call, variants = asked.call, asked.variants
        expert = self.expert(call.expert)
        if self.conditioning.denoiser is not None:
            return self.conditioning.denoiser(expert.model, x, call.step, variants)
        segments = self.segments(expert, call.expert, variants)
        inputs = Inputs(
            latents=self.with_channels(x, call.step),
            t=torch.full((1,), call.step.timestep, dtype=torch.float64, device=x.device),
            layout=asked.layout(self.layout(expert, call.expert, segments)),
            text=self.text(expert, call.expert, variants),
            segments=segments,
            data={**self.data(variants), **asked.data},
            scope=Scope((self.window, self.overlap), call.step.index, call.name, variants),
            skip=asked.skip,
            run=asked.run,
        )
        return expert.predict(inputs)

    def with_channels(self, x: Tensor, step: Step) -> Tensor:
        channels = self.conditioning.channels
        if channels is None:
            return x
        moving = () if channels.moving is None else (channels.moving(x, step).to(x),)
        return torch.cat((x, channels.tensor.to(x), *moving))

    def text(self, expert: Expert, name: str, variants: Mapping[str, str]) -> EmbeddedText:
        return self.texts.of(expert, name, variants, self.conditioning.texts, self.conditioning.images)

    def data(self, variants: Mapping[str, str]) -> dict[str, object]:
        """Each slot's payload in this pass; a slot without a payload for its variant is off."""
        chosen = {}
        for slot, payloads in self.conditioning.data.items():
            payload = payloads.get(variants.get(slot, "on"))
            if payload is not None:
                chosen[slot] = payload.data
        return chosen

    def segments(self, expert: Expert, name: str, variants: Mapping[str, str]) -> tuple[Segment, ...]:
        sources = [s for s in self.conditioning.segments if variants.get(s.slot, "on") == s.variant]
        key = (name, tuple((s.slot, s.variant) for s in sources))
        if key not in self._segments:
            adapters = expert.attached.adapters
            self._segments[key] = tuple(s.embed(expert.model, adapters.get(s.slot)) for s in sources)
        return self._segments[key]

    def layout(self, expert: Expert, name: str, segments: tuple[Segment, ...]) -> Layout:
        key = (name, *((s.name, len(s.tokens), s.rope, s.t, s.text, s.along) for s in segments))
        if key not in self._layouts:
            canvas, frequencies = self.conditioning.canvas, expert.frequencies
            for method in self.methods:
                canvas = method.canvas(canvas)
            for method in self.methods:
                frequencies = method.frequencies(frequencies, canvas)
            self._layouts[key] = build_layout(
                canvas,
                frequencies,
                self.conditioning.clock,
                segments,
                self.conditioning.plan,
                expert.attached.frame_levels(self.conditioning.data),
                expert.device,
            )
        return self._layouts[key]
