"""Once per request: sound to features, pictures to pixels, where the speakers are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from wancore.engine.tools import Tools
from wancore.errors import InvalidInput
from wancore.media.audio import SPEECH_RATE
from wancore.plugins.bases import reads_image
from wancore.plugins.family import Base, Lead, Window
from wancore.plugins.texts import guided_texts
from wancore.request import Request
from wancore.transformer.canvas import Canvas
from wancore_talking.adapter import Speech
from wancore_talking.color import ColorMatch
from wancore_talking.features import Features, speech_features
from wancore_talking.guidance import Scales
from wancore_talking.live import LiveTimeline, LiveVoices
from wancore_talking.masks import check_boxes, default_boxes, latent_masks, nearest, speaker_masks
from wancore_talking.parameters import TalkingParameters
from wancore_talking.sources import Pictures, picture_size
from wancore_talking.stills import Stills
from wancore_talking.timeline import Timeline
from wancore_talking.tracks import Mix, Tracks
from wancore_talking.voices import read_tracks, speaker_count, voices


@dataclass(frozen=True)
class Voices:
    """What is heard and where: the part that an attachment has too.

    `features` of each speaker; `masks` [3, h, w] with two speakers. `turned`: the window in which the
    sound runs back from its end. `mix`: all of it as an attachment has it, 16 kHz.
    """

    features: tuple[Features, ...]
    masks: Tensor | None
    strength: float = 1.0
    turned: int | None = None
    mix: Mix = field(default_factory=Mix)

    def speech(self, window: Window) -> Speech:
        back = self.turned == window.index
        heard = [f.window(window.start, window.frames, back) for f in self.features]
        return Speech(torch.stack(heard), self.masks, self.strength)


@dataclass(frozen=True)
class Prepared:
    """A request that this family leads.

    `pictures`: what each window starts from, by its first frame. `motion`: pixel frames taken over.
    `projection`: momentum and threshold of adaptive projected guidance, if it is on. `mix`: what is
    heard, 16 kHz. `patch`: rows and columns of latent pixels that make a token. `reads_image`: the model
    has image channels and an image branch; without, pictures reach it as frames that are held.
    """

    timeline: Timeline | LiveTimeline
    motion: int
    voices: Voices | LiveVoices
    texts: Mapping[str, Tensor]
    pictures: Pictures
    stills: Stills
    scales: Scales
    stride: int
    patch: tuple[int, int]
    reads_image: bool = True
    projection: tuple[float, float] | None = None
    color: ColorMatch | None = None
    mix: Mix = field(default_factory=Mix)

    def canvas(self, frames: int) -> Canvas:
        height, width = (n // self.stride for n in self.pictures[0].shape[1:])
        return Canvas(1 + (frames - 1) // 4, height // self.patch[0], width // self.patch[1])


@dataclass(frozen=True)
class Plan:
    """What was settled before anything was encoded."""

    parameters: TalkingParameters
    timeline: Timeline | LiveTimeline
    motion: int
    scales: Scales
    role: str


def prepare(request: Request, plan: Plan, tracks: Tracks, base: Base, lead: Lead, tools: Tools) -> Prepared:
    frames = tracks.frames(float(lead.fps))
    check_seen(plan.parameters, picture_size(plan.role, tools), base, lead)
    return assembled(
        plan, base, lead, tools,
        encoded(tracks, frames, tools),
        guided_texts(request, lead, tools),
        Mix(tracks.mix[: round(lead.frames / lead.fps * SPEECH_RATE)]),
    )  # fmt: skip


def prepare_live(request: Request, plan: Plan, base: Base, lead: Lead, tools: Tools) -> Prepared:
    """All but the sound, which is encoded window by window."""
    parameters, source = plan.parameters, picture_size(plan.role, tools)
    size = (lead.height, lead.width)
    check_seen(parameters, source, base, lead)
    prepared = assembled(plan, base, lead, tools, (), guided_texts(request, lead, tools), Mix())
    given, count = voices(request), speaker_count(request, parameters)
    roles = tuple(given.get(number) for number in range(count))
    masks = placed(parameters, count, source, size, base.spatial_stride)
    return replace(prepared, voices=LiveVoices(tools, roles, lead.fps, masks, parameters.audio_strength))


def assembled(
    plan: Plan,
    base: Base,
    lead: Lead,
    tools: Tools,
    features: tuple[Features, ...],
    texts: Mapping[str, Tensor],
    mix: Mix,
) -> Prepared:
    """Everything but the encoding of sound and text."""
    parameters, size = plan.parameters, (lead.height, lead.width)
    seen = Pictures(plan.role, size, tools)
    masks = placed(parameters, len(features), picture_size(plan.role, tools), size, base.spatial_stride)
    color = parameters.color_correction
    patch = base.transformer.patch_size
    return Prepared(
        plan.timeline,
        plan.motion,
        Voices(features, masks, parameters.audio_strength, plan.timeline.turned),
        texts,
        seen,
        Stills(tools, reads_image(base.transformer, base.latent_channels)),
        plan.scales,
        base.spatial_stride,
        (patch[1], patch[2]),
        reads_image(base.transformer, base.latent_channels),
        (parameters.apg_momentum, parameters.apg_threshold) if parameters.apg else None,
        ColorMatch(seen[0].to(tools.device), color) if color else None,
        mix,
    )


def prepare_attached(
    request: Request, parameters: TalkingParameters, base: Base, lead: Lead, tools: Tools
) -> Voices:
    """The sound for the lead's clip: cut to its length, or followed by silence."""
    tracks = read_tracks(request, parameters, float(lead.fps), tools)
    tracks = tracks.lasting(round(lead.frames / lead.fps * SPEECH_RATE))
    size = (lead.height, lead.width)
    if parameters.boxes is not None:
        check_boxes(parameters.boxes, *size)
        check_seen(parameters, size, base, lead)
    masks = placed(parameters, len(tracks.speech), size, size, base.spatial_stride)
    features = encoded(tracks, lead.frames, tools)
    return Voices(features, masks, parameters.audio_strength, mix=Mix(tracks.mix))


def encoded(tracks: Tracks, frames: int, tools: Tools) -> tuple[Features, ...]:
    """Features of each speaker, one row for each of `frames`; on a GPU they wait as bfloat16."""
    dtype = torch.float32 if tools.device.type == "cpu" else torch.bfloat16
    return tuple(speech_features(tools.speech(speech, frames).to(dtype)) for speech in tracks.speech)


def placed(
    parameters: TalkingParameters, speakers: int, source: tuple[int, int], size: tuple[int, int], stride: int
) -> Tensor | None:
    """Masks at latent size from boxes in pixels of the `source` (height, width); None for one speaker."""
    if speakers < 2:
        return None
    boxes = parameters.boxes or default_boxes(*source)
    return latent_masks(speaker_masks(boxes, *source), size, stride)


def check_seen(parameters: TalkingParameters, source: tuple[int, int], base: Base, lead: Lead) -> None:
    """Raises `InvalidInput` for a box that is too small to hold any of the video's tokens."""
    size, stride, patch = (lead.height, lead.width), base.spatial_stride, base.transformer.patch_size
    masks = placed(parameters, 1 if parameters.boxes is None else 2, source, size, stride)
    if masks is None:
        return
    tokens = nearest(masks, (size[0] // stride // patch[1], size[1] // stride // patch[2]))
    for i, box in enumerate(parameters.boxes or ()):
        if not tokens[i].any():
            accepted = f"a place that the video shows, large enough for a patch of {stride * patch[1]} pixels"
            raise InvalidInput(f"params.boxes[{i}]", list(box), accepted)
