"""One window's conditioning, from the lead and its attachments together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from torch import Tensor

from wancore.engine.head import widened
from wancore.errors import Conflict, WancoreError
from wancore.plugins.conditioning import DENOISER, Channels, Conditioning, Denoiser, Payload, SegmentSource
from wancore.plugins.family import Family
from wancore.request import Request
from wancore.sampling.hooks import Hooks
from wancore.transformer.canvas import Along, Canvas, Clock
from wancore.transformer.plan import Plan

#: What a family claims that puts frames in front of the clip.
CANVAS_HEAD = "canvas head"


@dataclass(frozen=True)
class Composed:
    """What one window's predictions read.

    `added_head`: how many of the canvas' head frames an attachment has put in front of the lead's canvas.
    """

    canvas: Canvas
    clock: Clock | None
    channels: Channels | None
    texts: Mapping[str, Tensor]
    images: Mapping[str, Tensor]
    segments: tuple[SegmentSource, ...]
    data: Mapping[str, Mapping[str, Payload]]
    hooks: tuple[Hooks, ...]
    plan: Plan | None
    added_head: int = 0
    denoiser: Denoiser | None = None

    def at(self, frames: Sequence[int]) -> Composed:
        """The part that an overlapping window over the clip frames `frames` reads.

        Service frames are in every window. Raises `WancoreError` where an item does not say how it
        follows a window.
        """
        if self.denoiser is not None:
            raise WancoreError("overlapping windows need the core's own denoiser")
        if self.plan or (self.clock and self.clock.index is not None):
            raise WancoreError("overlapping windows need one timestep and no plan of who attends to whom")
        if self.channels and (self.canvas.head or self.canvas.tail):
            raise WancoreError(
                "overlapping windows need a canvas without service frames where channels are read"
            )
        return replace(
            self,
            canvas=replace(self.canvas, frames=len(frames), times=None),
            channels=sliced_channels(self.channels, frames),
            segments=tuple(s if s.sliced is None else s.sliced(frames) for s in self.segments),
            data={slot: sliced_slot(slot, variants, frames) for slot, variants in self.data.items()},
        )


def sliced_channels(channels: Channels | None, frames: Sequence[int]) -> Channels | None:
    if channels is None:
        return None
    if channels.sliced is None or channels.moving is not None:
        raise WancoreError("this family's channels do not say how they follow an overlapping window")
    return replace(channels, tensor=channels.sliced(channels.tensor, frames))


def sliced_slot(slot: str, variants: Mapping[str, Payload], frames: Sequence[int]) -> Mapping[str, Payload]:
    return {name: sliced_payload(slot, payload, frames) for name, payload in variants.items()}


def sliced_payload(slot: str, payload: Payload, frames: Sequence[int]) -> Payload:
    if payload.sliced is not None:
        return replace(payload, data=payload.sliced(payload.data, frames))
    if payload.along is not Along.FIXED:
        raise WancoreError(f"the conditioning of {slot!r} cannot follow an overlapping window")
    return payload


def check_claims(families: Sequence[tuple[Family, Request]]) -> None:
    """Raises `Conflict` where two families need the same resource, before anything is loaded.

    Each family comes with the request that holds its own inputs, the lead first. A family is there only
    once, and none beside a lead that has a denoiser of its own.
    """
    (lead, own), *others = families
    if others and DENOISER in lead.claimed(own):
        raise Conflict(DENOISER, lead.name, others[0][0].name)
    for (first, one), (second, other) in combinations(families, 2):
        if first.id == second.id:
            raise Conflict(f"the slot of {first.id}", first.name, second.name)
        for resource in sorted(first.claimed(one) & second.claimed(other)):
            raise Conflict(resource, first.name, second.name)


def compose(lead: Conditioning, attachments: Sequence[tuple[str, Conditioning]]) -> Composed:
    """The lead's conditioning with the attachments' on it.

    What adds up does so in the order of names, so that the order of attachment cannot change a bit.
    Changes of channels and hooks act in the order of attachment, hooks of the lead last. Raises
    `Conflict` where an attachment claims what the lead owns, or a slot is filled twice.
    """
    if lead.canvas is None:
        raise ValueError("the lead must set the canvas")
    channels, data = lead.channels, dict(lead.data)
    for name, other in attachments:
        owns = other.canvas or other.channels or other.clock or other.plan or other.denoiser
        if owns or other.texts or other.images:
            raise Conflict("the canvas", "the lead", name)
        if other.edit_channels is not None:
            if channels is None:
                raise WancoreError(f"{name} changes the lead's input channels, and the lead has none")
            channels = replace(channels, tensor=other.edit_channels(channels.tensor))
        for slot, variants in other.data.items():
            if slot in data:
                raise Conflict(f"the slot {slot!r}", "another family", name)
            data[slot] = variants
    by_name = [conditioning for _, conditioning in sorted(attachments, key=lambda pair: pair[0])]
    composed = Composed(
        lead.canvas,
        lead.clock,
        channels,
        lead.texts,
        lead.images,
        (*lead.segments, *(s for c in by_name for s in c.segments)),
        data,
        (*(h for _, c in attachments for h in c.hooks), *lead.hooks),
        lead.plan,
        denoiser=lead.denoiser,
    )
    return in_front(composed, [(name, c.head) for name, c in attachments if c.head])


def in_front(composed: Composed, heads: Sequence[tuple[str, int]]) -> Composed:
    """The canvas with the head frames that an attachment asks for. Raises `Conflict` for a second owner."""
    if not heads:
        return composed
    if len(heads) > 1:
        raise Conflict(CANVAS_HEAD, heads[0][0], heads[1][0])
    ((name, head),) = heads
    if composed.canvas.head:
        raise Conflict(CANVAS_HEAD, "the lead", name)
    if composed.channels or composed.plan:
        what = "input channels" if composed.channels else "plan of who attends to whom"
        raise WancoreError(f"{name} puts frames in front of the clip, and the lead has no {what} for them")
    canvas, clock, hooks = widened(head, composed.canvas, composed.clock, composed.hooks)
    return replace(composed, canvas=canvas, clock=clock, hooks=hooks, added_head=head)
