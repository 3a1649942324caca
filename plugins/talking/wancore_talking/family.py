"""What talking families have in common; `continued` is what tells them apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from wancore.errors import CheckpointError, InvalidInput
from wancore.plugins.bases import reads_image, reads_text_only
from wancore.plugins.conditioning import Channels, Conditioning, Payload
from wancore.plugins.family import Base, Carry, FamilyBase, Lead, Place, Role, Window
from wancore.plugins.inputs import InputSpec, InputType, check_roles, parse_parameters
from wancore_talking.guidance import SILENT, talking_guidance
from wancore_talking.keys import KEYS
from wancore_talking.parameters import ATTACHED, TalkingParameters
from wancore_talking.prompts import NEGATIVE

if TYPE_CHECKING:
    from torch import Tensor

    from wancore.checkpoints.claim import Claim
    from wancore.checkpoints.view import FileView
    from wancore.engine.tools import Tools
    from wancore.media.sound import Sound
    from wancore.request import Request
    from wancore.sampling.guidance import Guidance
    from wancore.sampling.hooks import Hooks
    from wancore.transformer.adapter import Adapter
    from wancore_talking.adapter import Speech
    from wancore_talking.prepare import Plan, Prepared, Voices
    from wancore_talking.stills import Still
    from wancore_talking.tracks import Tracks

IMAGE = InputSpec("image", InputType.IMAGE, "the picture of who talks")
VIDEO = InputSpec("video", InputType.VIDEO, "in place of the image: a video whose people talk anew")
SOUND = "the sound of the video"
AUDIO = (
    InputSpec("audio", InputType.AUDIO, "the speech of one speaker; any audio or video file", live=True),
    InputSpec(
        "audio", InputType.AUDIO, "speech of the first (left) and the second speaker", many=True, live=True
    ),
)


def check_motion(motion: int, window: int) -> None:
    if motion >= window:
        raise InvalidInput("params.motion_frame", motion, f"less than the window of {window} frames")


@dataclass(frozen=True)
class Start:
    """How a window begins: what the model reads of known frames, and what holds them."""

    still: Still
    hooks: tuple[Hooks, ...] = ()


class TalkingFamily(FamilyBase):
    """Subclasses set `id`, `name`, `help`, `inputs`, `sources`, `words`, `others`, `motion` and override
    `ending` and `continued`."""

    id: str
    name: str
    help: str
    inputs: tuple[InputSpec, ...]
    sources: tuple[str, ...]  # roles of the picture, one of which is given
    words: tuple[str, ...]  # in file names
    others: tuple[str, ...]  # families with the same keys
    motion: int  # pixel frames that a window takes over, by default
    roles: frozenset[Role] = frozenset({"lead", "attachment"})
    parameters: type[BaseModel] = TalkingParameters
    keys = KEYS

    def ending(self, lengths: Sequence[int]) -> int:
        """Frames of a video whose sound, `lengths` frames for each speaker, ran out."""
        raise NotImplementedError

    def continued(self, prepared: Prepared, window: Window, carry: Carry | None, tools: Tools) -> Start:
        """The beginning of a window."""
        raise NotImplementedError

    def claimed(self, request: Request) -> frozenset[str]:
        """Of several attached, one can be heard; where the lead has a sound, none of them is."""
        return frozenset({SOUND}) if request.attaches(self.id) else frozenset()

    def recognise(self, file: FileView) -> Claim | None:
        from wancore_talking.recognise import recognise

        return recognise(file, self.id, self.words, self.others)

    def check(self, request: Request, base: Base, weights: FileView) -> None:
        from wancore_talking.voices import speaker_count
        from wancore_talking.weights import check_fits

        attached, parameters = request.attaches(self.id), self.own(request)
        if attached:
            check_roles(AUDIO, request.roles, self.id)
        speaker_count(request, parameters)
        for name in sorted(request.params):
            if attached and name not in ATTACHED:
                raise InvalidInput(
                    f"params.{name}", request.params[name], "nothing here: the lead decides it"
                )
        if not attached and request.windows is not None:
            accepted = f"nothing here: {self.name} makes windows of its own, of params.window frames"
            raise InvalidInput("windows", request.windows.schedule, accepted)
        check_fits(base, weights)
        sizes, latent = base.transformer, base.latent_channels
        with_others = bool(request.attachments) and reads_text_only(sizes, latent)
        if not attached and not reads_image(sizes, latent) and not with_others:
            problem = (
                f"{self.name} needs an image-to-video model with an image encoder as its base, or a "
                "text-to-video model with a family attached that shows it pictures, such as VACE"
            )
            raise CheckpointError(weights.path, f"cannot lead on this model: {problem}")

    def own(self, request: Request) -> TalkingParameters:
        return parse_parameters(TalkingParameters, request.params)

    def adapter(self, base: Base, weights: FileView, place: Place) -> Adapter:
        from wancore_talking.weights import load_adapter

        return load_adapter(base, weights, place)

    def lead(self, request: Request, base: Base, tools: Tools) -> Lead:
        from wancore.plugins.lead import settled_fps
        from wancore_talking.settled import FPS, settled_sampling, settled_size, suited
        from wancore_talking.sources import picture_size, source_role

        request = suited(request, base.defaults)
        role = source_role(request, self.sources)
        height, width = settled_size(request, self.own(request), base, picture_size(role, tools))
        fps = settled_fps(request, FPS)
        sampling = settled_sampling(request, self.own(request), height * width)
        if request.live:
            self.live_plan(request, fps, height * width, tools)
            frames = 0
        else:
            frames = self.plan(request, float(fps), height * width, tools)[0].timeline.frames
        negative = request.negative_prompt
        return Lead(
            width, height, frames, fps,
            sampling.steps, sampling.solver, sampling.shift, (sampling.scales.text,),
            NEGATIVE if negative is None else negative,
        )  # fmt: skip

    def plan(self, request: Request, fps: float, pixels: int, tools: Tools) -> tuple[Plan, Tracks]:
        """Windows and scales, and the sound. Raises `InvalidInput`, reading sound and picture to do so."""
        from wancore_talking.masks import check_boxes
        from wancore_talking.prepare import Plan
        from wancore_talking.settled import settled_sampling
        from wancore_talking.sources import picture_size, source_role
        from wancore_talking.timeline import Pace, timeline, whole
        from wancore_talking.voices import read_tracks

        parameters, role = self.own(request), source_role(request, self.sources)
        if parameters.boxes is not None:
            check_boxes(parameters.boxes, *picture_size(role, tools))
        tracks = read_tracks(request, parameters, fps, tools)
        frames = tracks.frames(fps)
        if frames < 1:
            accepted = f"at least {1 / tracks.seconds:.2f}: the sound lasts {tracks.seconds:.2f} seconds"
            raise InvalidInput("fps", fps, f"{accepted}, less than a frame")
        limit = request.frames or frames
        motion = parameters.motion_frame or self.motion
        window = min(parameters.window, whole(min(limit, frames)))
        if min(limit, frames) > window:
            check_motion(motion, window)
        pace = Pace(window, motion, parameters.short_last_window)
        times = timeline([frames] * len(tracks.speech), limit, pace, self.ending)
        scales = settled_sampling(request, parameters, pixels).scales
        return Plan(parameters, times, motion, scales, role), tracks

    def live_plan(self, request: Request, fps: Fraction, pixels: int, tools: Tools) -> Plan:
        """As `plan`, for sound that is still to come."""
        from wancore_talking.live import LiveTimeline
        from wancore_talking.masks import check_boxes
        from wancore_talking.prepare import Plan
        from wancore_talking.settled import settled_sampling
        from wancore_talking.sources import picture_size, source_role
        from wancore_talking.timeline import Pace

        parameters, role = self.own(request), source_role(request, self.sources)
        if parameters.boxes is not None:
            check_boxes(parameters.boxes, *picture_size(role, tools))
        motion = parameters.motion_frame or self.motion
        check_motion(motion, parameters.window)
        pace = Pace(parameters.window, motion, parameters.short_last_window)
        times = LiveTimeline(tools.live, request.live, fps, pace, request.frames)
        return Plan(parameters, times, motion, settled_sampling(request, parameters, pixels).scales, role)

    def prepare(self, request: Request, base: Base, lead: Lead, tools: Tools) -> Prepared | Voices:
        from wancore_talking.prepare import prepare, prepare_attached, prepare_live
        from wancore_talking.settled import suited

        if request.attaches(self.id):
            return prepare_attached(request, self.own(request), base, lead, tools)
        request = suited(request, base.defaults)
        if request.live:
            plan = self.live_plan(request, lead.fps, lead.height * lead.width, tools)
            return prepare_live(request, plan, base, lead, tools)
        plan, tracks = self.plan(request, float(lead.fps), lead.height * lead.width, tools)
        return prepare(request, plan, tracks, base, lead, tools)

    def windows(self, prepared: Prepared, lead: Lead) -> Iterable[Window]:
        return prepared.timeline.windows

    def window(
        self, prepared: Prepared | Voices, window: Window, carry: Carry | None, tools: Tools
    ) -> Conditioning:
        from wancore_talking.prepare import Voices

        if isinstance(prepared, Voices):
            return Conditioning(data=self.heard(prepared.speech(window)))
        start = self.continued(prepared, window, carry, tools)
        tokens = start.still.tokens
        return Conditioning(
            prepared.canvas(window.frames),
            Channels(start.still.channels) if prepared.reads_image else None,
            texts=prepared.texts,
            images={} if tokens is None else {"on": tokens},
            data=self.heard(prepared.voices.speech(window)),
            hooks=start.hooks,
        )

    def heard(self, speech: Speech) -> dict[str, dict[str, Payload]]:
        """The window's audio, and the pass without it."""

        def part(data: Speech, frames: Sequence[int]) -> Speech:
            return data.at(frames)

        variants = {"on": speech, SILENT: speech.silent()}
        return {self.id: {name: Payload(data, sliced=part) for name, data in variants.items()}}

    def guidance(self, prepared: Prepared, lead: Lead, window: Window) -> Guidance:
        if prepared.projection is None:
            return talking_guidance(prepared.scales, self.id)
        from wancore_talking.apg import AdaptiveProjection

        momentum, threshold = prepared.projection
        return talking_guidance(prepared.scales, self.id, lambda: AdaptiveProjection(momentum, threshold))

    def steered(self, prepared: Any, request: Request, lead: Lead, tools: Tools) -> Any:
        from wancore.plugins.texts import guided_texts

        return replace(prepared, texts=guided_texts(request, lead, tools))

    def sound(self, prepared: Prepared | Voices) -> Sound | None:
        from wancore.media.audio import SPEECH_RATE
        from wancore.media.sound import Sound

        mix = prepared.mix.taken()
        return None if mix is None else Sound(mix.numpy(), SPEECH_RATE)

    def finish(self, prepared: Any, frames: Tensor) -> Tensor:
        from wancore_talking.prepare import Prepared

        if not isinstance(prepared, Prepared) or prepared.color is None:
            return frames
        return prepared.color(frames)
