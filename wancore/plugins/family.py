"""The contract of a model family.

A family says how to recognise its checkpoints and how to turn a user's inputs into what the
transformer reads. It is stateless: everything of one request is in what its methods return.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol

from wancore.checkpoints.defaults import ModelDefaults
from wancore.plugins.inputs import ParameterModel

if TYPE_CHECKING:
    import torch
    from pydantic import BaseModel
    from torch import Tensor

    from wancore.checkpoints.claim import Claim
    from wancore.checkpoints.view import FileView
    from wancore.engine.tools import Tools
    from wancore.media.sound import Sound
    from wancore.plugins.conditioning import Conditioning
    from wancore.plugins.inputs import InputSpec
    from wancore.request import Request
    from wancore.sampling.begin import Begin
    from wancore.sampling.guidance import Guidance
    from wancore.sampling.hooks import Step
    from wancore.transformer.adapter import Adapter
    from wancore.transformer.canvas import Canvas
    from wancore.transformer.config import TransformerConfig

Role = Literal["lead", "attachment"]


@dataclass(frozen=True)
class Base:
    """The model a request runs on.

    `experts`: names in the order of use, `("",)` for a single transformer, `("high", "low")` for two.
    `variant`: what the family's claim says of the file. `boundary`, 0..1: of the experts, where the files
    say it (see `Lead`). Of the VAE: `spatial_stride`, pixels to a latent pixel, `temporal_stride`, pixel
    frames to a latent frame, `latent_channels`. `defaults`: what the checkpoint says it is best run with.
    """

    transformer: TransformerConfig
    experts: tuple[str, ...] = ("",)
    variant: str = ""
    boundary: float | None = None
    spatial_stride: int = 8
    temporal_stride: int = 4
    latent_channels: int = 16
    defaults: ModelDefaults = field(default_factory=ModelDefaults)

    @property
    def token_height(self) -> int:
        """Pixels: the rows of a video are a multiple of it."""
        return self.spatial_stride * self.transformer.patch_size[1]

    @property
    def token_width(self) -> int:
        """Pixels: the columns of a video are a multiple of it."""
        return self.spatial_stride * self.transformer.patch_size[2]

    def latent_frames(self, frames: int) -> int:
        """Of so many pixel frames, `temporal_stride` times n, and 1: n + 1."""
        return 1 + (frames - 1) // self.temporal_stride

    def canvas(self, width: int, height: int, frames: int, head: int = 0, noise_frames: int = 0) -> Canvas:
        """The canvas of a clip of so many pixels and pixel frames; `head`, `noise_frames` as it has them."""
        from wancore.transformer.canvas import Canvas

        return Canvas(
            self.latent_frames(frames), height // self.token_height, width // self.token_width, head,
            noise_frames=noise_frames,
        )  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Where weights go, and the type they compute in."""

    device: torch.device
    dtype: torch.dtype


@dataclass(frozen=True)
class Lead:
    """What the lead family decides for a request, after the user's own choices.

    `width`, `height` in pixels, `frames` pixel frames in all, `fps` frames per second, `steps` at least 1,
    `shift` above 0 (1: levels are evenly spaced). `frames` is 0 in a live request, which ends with its
    sound. `guidance_scales`: one per expert, in the order of use; 1: no guidance. `boundary`, 0..1: the
    first expert takes the steps whose timestep is at least 1000 times this; None for one transformer.
    """

    width: int
    height: int
    frames: int
    fps: Fraction
    steps: int
    solver: str
    shift: float
    guidance_scales: tuple[float, ...]
    negative_prompt: str
    boundary: float | None = None

    def expert_at(self, timestep: float) -> int:
        """0 while the timestep (0..1000) is at or above the boundary, then 1; 0 for one transformer."""
        return 0 if self.boundary is None or timestep >= self.boundary * 1000 else 1

    def guidance_at(self, step: Step) -> float:
        """The guidance scale of the expert in use."""
        return self.guidance_scales[min(self.expert_at(step.timestep), len(self.guidance_scales) - 1)]


@dataclass(frozen=True)
class Window:
    """A stretch of the video that is denoised on its own.

    Pixel frames [start, start + frames); of these, the first `known` are already out and not
    sent again, and the last `spare` are past the end of the video and never sent. `last`: no window
    follows. `carried`: how many of its last frames the next window reads; None: all, which takes memory.
    """

    index: int
    start: int
    frames: int
    known: int = 0
    last: bool = True
    spare: int = 0
    carried: int | None = None


@dataclass(frozen=True)
class Carry:
    """What a window leaves for the next: its finished frames [3, T, H, W] in [-1, 1], and its latent.

    `frames`: the last `carried` of the window, or all.
    `latent` [C, F, h, w]: of the lead's own canvas, with its service frames.
    """

    frames: Tensor
    latent: Tensor


@dataclass(frozen=True)
class DecodeSpan:
    """Latent frames [start, stop) of the canvas to decode.

    `fresh`: with an empty cache, so that the first is one pixel frame; else going on from the span before.
    `drop`: so many of its first pixel frames are thrown away.
    """

    start: int
    stop: int
    fresh: bool = True
    drop: int = 0


class Family(Protocol):
    """One model family. `FamilyBase` has defaults for what most families leave as it is.

    `claims`: resources that only one family of a request may own beyond a lead's own, such as
    "canvas head", "time origin", "attention output", "the text attention", "embed".
    """

    @property
    def id(self) -> str:
        """As users write it: `[a-z0-9][a-z0-9._-]*`."""
        ...

    @property
    def name(self) -> str:
        """As people write it, for listings and errors."""
        ...

    @property
    def help(self) -> str:
        """What it makes of what, in one phrase."""
        ...

    @property
    def roles(self) -> frozenset[Role]:
        """Whether it leads requests, is attached to others', or both."""
        ...

    @property
    def inputs(self) -> tuple[InputSpec, ...]:
        """The files it takes, by role. The engine refuses others, and requests without a required one."""
        ...

    @property
    def parameters(self) -> type[BaseModel]:
        """The values it takes, with defaults and ranges; a `ParameterModel`. The engine refuses others."""
        ...

    @property
    def claims(self) -> frozenset[str]:
        """What it may need that only one family of a request can have, at the most."""
        ...

    @property
    def keys(self) -> tuple[str, ...]:
        """Patterns of the checkpoint keys its adapter owns (`checkpoints/pattern.py`); () without weights."""
        ...

    @property
    def ignored_keys(self) -> tuple[str, ...]:
        """Patterns of keys that are its own and not needed."""
        ...

    def recognise(self, file: FileView) -> Claim | None:
        """What this checkpoint is to this family; from names, shapes, header and file name, never data.

        None for a file that is not its own. Asked of every file that is listed: imports no torch.
        """
        ...

    @property
    def renames(self) -> Mapping[str, str]:
        """diffusers' names of its keys: pattern there -> pattern here (`checkpoints/keymap.py`)."""
        ...

    def claimed(self, request: Request) -> frozenset[str]:
        """`claims`, as far as this request needs them; `request` holds the family's own inputs."""
        ...

    def check(self, request: Request, base: Base, weights: FileView) -> None:
        """What can be told from the request and from headers, before anything is loaded.

        `request` holds the family's own inputs and parameters, which are as `inputs` and `parameters`
        declare them; `weights` as in `adapter`. Raises `InvalidInput`, or `CheckpointError`, for example
        where a module does not fit the base.
        """
        ...

    def adapter(self, base: Base, weights: FileView, place: Place) -> Adapter | None:
        """The family's module from the keys it owns; asked once per expert. None if it has no adapter.

        `weights` is empty for a family without keys of its own. Raises `CheckpointError`.
        """
        ...

    def lead(self, request: Request, base: Base, tools: Tools) -> Lead:
        """Settles size, length, schedule and guidance. Raises `InvalidInput`."""
        ...

    def begin(self, request: Request) -> Begin | None:
        """Where the schedule begins, for a family whose hook `start` gives the latent there; None: at noise.

        `request` holds the family's own inputs and parameters. One family of a request may say so.
        """
        ...

    def prepare(self, request: Request, base: Base, lead: Lead, tools: Tools) -> Any:
        """Once per request: reads and encodes the inputs. Raises `InvalidInput` for what cannot be read.

        What it returns is the `prepared` of the methods below, and looked into by nobody else.
        """
        ...

    def windows(self, prepared: Any, lead: Lead) -> Iterable[Window]:
        """The lead's windows, in order, at least one; the next is asked for when the one before is finished.

        In a live request this waits (`tools.live`) until what the next window needs is there.
        """
        ...

    def steered(self, prepared: Any, request: Request, lead: Lead, tools: Tools) -> Any:
        """A live request's words have changed: what the following windows are made from.

        `request` and `lead` hold the new ones. Raises `InvalidInput` where they cannot change.
        """
        ...

    def window(self, prepared: Any, window: Window, carry: Carry | None, tools: Tools) -> Conditioning:
        """Once per window: what the transformer reads.

        `carry`: what the window before left; None in the first. Runs while weights are loaded: encode here
        only what differs from window to window.
        """
        ...

    def guidance(self, prepared: Any, lead: Lead, window: Window) -> Guidance:
        """The passes of each step and how they add up; once per window, of the lead."""
        ...

    def decode(self, canvas: Canvas) -> Sequence[DecodeSpan]:
        """The latent frames to decode, in order, and how. The clip is behind `canvas.head`."""
        ...

    def sound(self, prepared: Any) -> Sound | None:
        """What is heard with the whole video; None if it is silent. The lead's before an attachment's.

        Asked for once, after `prepare`: it need not be held any longer.
        """
        ...

    def finish(self, prepared: Any, frames: Tensor) -> Tensor:
        """Changes decoded frames [3, n, H, W] in [-1, 1], before they are sent or carried over.

        An attachment's acts after the lead's, in the order of attachment, and only on what is sent: the
        next window begins with frames that it has not changed.
        """
        ...


class FamilyBase:
    """Defaults: no parameters, a module that is told by its keys, one window whose conditioning is what
    `prepare` returned, guidance between the positive and the negative text, the whole clip decoded with one
    cache, frames as they are decoded.

    `needs`: what users have to give beside a module, one phrase each.
    """

    id: str
    roles: frozenset[Role] = frozenset({"lead"})
    inputs: tuple[InputSpec, ...] = ()
    parameters: type[BaseModel] = ParameterModel
    claims: frozenset[str] = frozenset()
    keys: tuple[str, ...] = ()
    ignored_keys: tuple[str, ...] = ()
    renames: Mapping[str, str] = MappingProxyType({})
    needs: tuple[str, ...] = ()

    def recognise(self, file: FileView) -> Claim | None:
        """A file that holds tensors of `keys`, and no others, is a module of this family."""
        from wancore.checkpoints.claim import Claim
        from wancore.checkpoints.fingerprint import all_fit

        ours = self.keys and len(file) and all_fit(self.keys, file.names)
        return Claim("module", self.id, needs=self.needs) if ours else None

    def claimed(self, request: Request) -> frozenset[str]:
        return self.claims

    def check(self, request: Request, base: Base, weights: FileView) -> None:
        return None

    def adapter(self, base: Base, weights: FileView, place: Place) -> Adapter | None:
        return None

    def lead(self, request: Request, base: Base, tools: Tools) -> Lead:
        raise NotImplementedError(f"{type(self).__name__} says that it can lead, and has no `lead`")

    def begin(self, request: Request) -> Begin | None:
        return None

    def windows(self, prepared: Any, lead: Lead) -> Iterable[Window]:
        yield Window(0, 0, lead.frames)

    def window(self, prepared: Any, window: Window, carry: Carry | None, tools: Tools) -> Conditioning:
        conditioning: Conditioning = prepared
        return conditioning

    def steered(self, prepared: Any, request: Request, lead: Lead, tools: Tools) -> Any:
        from wancore.errors import InvalidInput

        raise InvalidInput("prompt", request.prompt, "the words it began with: this family keeps them")

    def guidance(self, prepared: Any, lead: Lead, window: Window) -> Guidance:
        from wancore.sampling.guidance import classifier_free

        return classifier_free(lead.guidance_at)

    def decode(self, canvas: Canvas) -> Sequence[DecodeSpan]:
        return (DecodeSpan(canvas.head, canvas.head + canvas.frames),)

    def sound(self, prepared: Any) -> Sound | None:
        return None

    def finish(self, prepared: Any, frames: Tensor) -> Tensor:
        return frames
