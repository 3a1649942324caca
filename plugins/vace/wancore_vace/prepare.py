"""From the inputs to what VACE reads in a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wancore.engine.tools import Tools, VideoCodec
from wancore.errors import InvalidInput
from wancore.plugins.family import Base, Carry, Lead, Window
from wancore.request import Request
from wancore.transformer.canvas import Canvas
from wancore_vace.adapter import Guide, Guides
from wancore_vace.context import context_of, padded_front
from wancore_vace.parameters import ContextParameters, Parameters
from wancore_vace.references import cut_out, letterboxed, side_by_side
from wancore_vace.roles import Named, references, sources
from wancore_vace.source_video import covered
from wancore_vace.sources import Source, Wanted, eight_bit, read_masks, read_source, sampled
from wancore_vace.strength import ALWAYS, Strength, strength_of


@dataclass(frozen=True)
class PreparedContext:
    """Pixels of one context over the whole video: frames [3, F, H, W] in [-1, 1], mask [1, F, H, W] in 0..1
    (1: generate), references [3, 1, H, W] in [-1, 1]."""

    frames: Tensor
    mask: Tensor
    references: tuple[Tensor, ...] = ()
    strength: Strength = ALWAYS

    def part(self, window: Window, carry: Carry | None) -> PreparedContext:
        """The frames of a window; those it takes over from the one before are kept as they came out."""
        frames, mask = cut(self.frames, window, 0.0), cut(self.mask, window, 1.0)
        if carry is not None and window.known:
            frames[:, : window.known] = carry.frames[:, -window.known :].to(frames)
            mask[:, : window.known] = 0
        return replace(self, frames=frames, mask=mask)


def cut(video: Tensor, window: Window, beyond: float) -> Tensor:
    """The window's frames [C, window.frames, H, W], filled with `beyond` where the video is over."""
    part = video[:, window.start : window.start + window.frames]
    missing = part.new_full((part.shape[0], window.frames - part.shape[1], *part.shape[2:]), beyond)
    return torch.cat((part, missing), dim=1)


@dataclass(frozen=True)
class Prepared:
    """`canvas`, `texts`: of a request that VACE leads; None and empty where it is attached."""

    contexts: tuple[PreparedContext, ...]
    canvas: Canvas | None = None
    texts: Mapping[str, Tensor] | None = None

    @property
    def head(self) -> int:
        """Frames in front of the clip: as many as the context with the most references has."""
        return max(len(context.references) for context in self.contexts)

    def guides(self, window: Window, carry: Carry | None, vae: VideoCodec, device: torch.device) -> Guides:
        """What the network reads in a window; contexts with fewer references are empty in front."""
        found = []
        for context in self.contexts:
            part = context.part(window, carry)
            pictures = [picture.to(device) for picture in part.references]
            latents = context_of(vae, part.frames.to(device), part.mask.to(device), pictures)
            missing = self.head - len(pictures)
            found.append(Guide(padded_front(latents, latents.shape[1] + missing), context.strength))
        return Guides(tuple(found), self.head)


def prepare(request: Request, parameters: Parameters, base: Base, lead: Lead, tools: Tools) -> Prepared:
    """Reads every context. Raises `InvalidInput`."""
    named = sources(parameters)
    second = next((n for n in named if n.prefix == "second."), None)
    wanted = Wanted(lead.frames, lead.height, lead.width)
    steps = lead.steps if request.sigmas is None else len(request.sigmas) - 1
    contexts = []
    for own in (n for n in named if n is not second):
        assert isinstance(own.source, ContextParameters)
        read = read_source(own, second if own.prefix == "" else None, tools, request.inputs, wanted)
        frames, mask = pixels(read, wanted, len(base.experts) == 2)
        pictures = read_references(own, own.source.join_references, request.inputs, tools, wanted)
        contexts.append(PreparedContext(frames, mask, pictures, settled_strength(own, steps)))
    check_references([len(context.references) for context in contexts], lead.frames)
    return Prepared(tuple(contexts))


def settled_strength(named: Named, steps: int) -> Strength:
    source = named.source
    assert isinstance(source, ContextParameters)
    if not isinstance(source.strength, float | int) and len(source.strength) != steps:
        raise InvalidInput(
            f"{named.field}.strength", source.strength, f"one number, or {steps}, one for each step"
        )
    return strength_of(source.strength, source.start, source.end, steps, source.layer_strengths)


def pixels(source: Source | None, wanted: Wanted, two_experts: bool) -> tuple[Tensor, Tensor]:
    """Frames [3, F, H, W] in [-1, 1] and mask [1, F, H, W] at the size of the video.

    Without a source everything is grey and to be generated. `two_experts`: for Wan2.2-VACE-Fun.
    """
    if source is None:
        shape = (1, wanted.frames, wanted.height, wanted.width)
        return torch.zeros(shape).expand(3, -1, -1, -1), torch.ones(shape)
    fitted = sampled(source, wanted.frames)
    frames = covered(eight_bit(fitted.pair.frames), wanted.height, wanted.width)
    masks = np.repeat(fitted.pair.masks[..., None], 3, axis=-1)
    mask = ((covered(eight_bit(masks), wanted.height, wanted.width)[:1] + 1) / 2).clamp(0, 1)
    if two_experts:
        frames, mask = cleared(frames, mask, fitted.edited)
    return (frames * (mask <= 0.5), mask) if fitted.blank else (frames, mask)


def cleared(frames: Tensor, mask: Tensor, edited: bool) -> tuple[Tensor, Tensor]:
    """What Wan2.2-VACE-Fun wants: a hard mask, and in an `edited` video grey where pixels are generated."""
    hard = (mask >= 0.5).to(mask)
    return (frames * (1 - hard) if edited else frames), hard


def read_references(
    named: Named, joined: bool, inputs: Mapping[str, Path], tools: Tools, wanted: Wanted
) -> tuple[Tensor, ...]:
    """[3, 1, H, W] each."""
    images = [reference_image(role, inputs, tools) for role in references(inputs, named.prefix)]
    if joined and len(images) > 1:
        images = [side_by_side(images)]
    return tuple(letterboxed(image, wanted.height, wanted.width) for image in images)


def reference_image(role: str, inputs: Mapping[str, Path], tools: Tools) -> Tensor:
    image, mask_role = tools.image(role), role.replace("reference", "reference_mask")
    if mask_role not in inputs:
        return image
    mask = read_masks(tools, mask_role)
    if mask.shape != (1, *image.shape[:2]) or not mask.any():
        accepted = f"an image of {image.shape[1]}x{image.shape[0]} that is not all black, as {role} has"
        raise InvalidInput(f"inputs.{mask_role}", f"{mask.shape[2]}x{mask.shape[1]}", accepted)
    return cut_out(image, torch.from_numpy(np.ascontiguousarray(mask[0])))


def check_references(counts: Sequence[int], frames: int) -> None:
    """As many references as the video has latent frames are possible."""
    most = (frames - 1) // 4 + 1
    if max(counts) > most:
        raise InvalidInput("inputs.reference", f"{max(counts)} images", f"at most {most} for {frames} frames")
