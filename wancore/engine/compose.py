"""One window's conditioning, from the lead and its attachments together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from torch import Tensor

from wancore.errors import Conflict, WancoreError
from wancore.plugins.family import Channels, Conditioning, Family, Payload, SegmentSource
from wancore.sampling.hooks import Hooks
from wancore.transformer.canvas import Along, Canvas, Clock
from wancore.transformer.plan import Plan


@dataclass(frozen=True)
class Composed:
    """What one window's predictions read. `frames`: the latent frames of the canvas it covers."""

    canvas: Canvas
    clock: Clock | None
    channels: Channels | None
    texts: Mapping[str, Tensor]
    images: Mapping[str, Tensor]
    segments: tuple[SegmentSource, ...]
    data: Mapping[str, Mapping[str, Payload]]
    hooks: tuple[Hooks, ...]
    plan: Plan | None

    def at(self, frames: Sequence[int]) -> Composed:
        """The part that an overlapping window over the clip frames `frames` reads.

        Raises `WancoreError` where an item does not say how it follows a window.
        """
        if self.canvas.head or self.canvas.tail or self.plan or (self.clock and self.clock.index is not None):
            raise WancoreError("overlapping windows need a canvas of clip frames with one timestep")
        canvas = replace(self.canvas, frames=len(frames), times=None)
        return replace(
            self,
            canvas=canvas,
            channels=sliced_channels(self.channels, frames),
            data={slot: sliced_slot(slot, variants) for slot, variants in self.data.items()},
        )


def sliced_channels(channels: Channels | None, frames: Sequence[int]) -> Channels | None:
    if channels is None:
        return None
    if channels.sliced is None:
        raise WancoreError("this family's channels do not say how they follow an overlapping window")
    return replace(channels, tensor=channels.sliced(channels.tensor, frames))


def sliced_slot(slot: str, variants: Mapping[str, Payload]) -> Mapping[str, Payload]:
    for payload in variants.values():
        if payload.along is not Along.FIXED:
            raise WancoreError(f"the conditioning of {slot!r} cannot follow an overlapping window")
    return variants


def check_claims(families: Iterable[Family]) -> None:
    """Raises `Conflict` where two families need the same resource, before anything is loaded."""
    for first, second in combinations(families, 2):
        for resource in sorted(first.claims & second.claims):
            raise Conflict(resource, first.name, second.name)


def compose(lead: Conditioning, attachments: Sequence[tuple[str, Conditioning]]) -> Composed:
    """The lead's conditioning with the attachments' on it; hooks of the lead act last.

    Raises `Conflict` where an attachment claims what the lead owns, or a slot is filled twice.
    """
    if lead.canvas is None:
        raise ValueError("the lead must set the canvas")
    channels, data = lead.channels, dict(lead.data)
    for name, other in attachments:
        if other.canvas or other.channels or other.clock or other.plan or other.texts or other.images:
            raise Conflict("the canvas", "the lead", name)
        if other.edit_channels is not None and channels is not None:
            channels = replace(channels, tensor=other.edit_channels(channels.tensor))
        for slot, variants in other.data.items():
            if slot in data:
                raise Conflict(f"the slot {slot!r}", "another family", name)
            data[slot] = variants
    others = [conditioning for _, conditioning in attachments]
    return Composed(
        lead.canvas,
        lead.clock,
        channels,
        lead.texts,
        lead.images,
        (*lead.segments, *(s for c in others for s in c.segments)),
        data,
        (*(h for c in others for h in c.hooks), *lead.hooks),
        lead.plan,
    )
