"""What a generation tells its caller while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from wancore.errors import WancoreError


@dataclass(frozen=True)
class Accepted:
    """The request is valid; these are its settled values. `frames`: how many will come, if known."""

    family: str
    variant: str
    width: int
    height: int
    frames: int | None
    fps: Fraction
    steps: int
    solver: str
    shift: float
    guidance: tuple[float, ...]
    seed: int
    model: str


@dataclass(frozen=True)
class Loading:
    """`part` (transformer, text encoder, …) is being loaded or run; `size_bytes` where it is loaded."""

    part: str
    size_bytes: int = 0


@dataclass(frozen=True)
class Note:
    """Something that was decided and a person may want to know; one line or several."""

    text: str


@dataclass(frozen=True)
class Progress:
    """`step` of `of` denoising steps are done, over all windows known so far.

    `seconds_left`: an estimate of the time to the last frame's latent; None before the first step.
    """

    step: int
    of: int
    window: int
    seconds_left: float | None


@dataclass(frozen=True)
class Preview:
    """Small frames [n, h, w, 3] uint8 of how the clip looks so far, after `step` steps."""

    step: int
    window: int
    frames: np.ndarray


@dataclass(frozen=True)
class Frames:
    """Finished frames [n, H, W, 3], full-range sRGB uint8; `index` is the first one's number."""

    index: int
    frames: np.ndarray


@dataclass(frozen=True)
class Finished:
    """The last event. `seconds`: time spent by stage; `first_frame_seconds` from the request on."""

    frames: int
    first_frame_seconds: float
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SoundTrack:
    """What is heard with the frames, before the first of them: float32 samples [S], mono, `rate` a second."""

    samples: np.ndarray
    rate: int


@dataclass(frozen=True)
class BlockDone:
    """A block of a live request, counted from 0, is complete.

    It has the frames `first_frame` to `first_frame + frames - 1`, which came just before.
    """

    block: int
    first_frame: int
    frames: int


@dataclass(frozen=True)
class BlockRetried:
    """A block failed and is made once more, from the state before it; `reason`: the kind of error."""

    block: int
    reason: str


@dataclass(frozen=True)
class Steered:
    """A change of a live request takes effect in `block`, or not at all because of `error`.

    `id`: the caller's.
    """

    id: str
    block: int
    error: WancoreError | None = None


Event = (
    Accepted | Loading | Note | SoundTrack | Progress | Preview | Frames | Finished
    | BlockDone | BlockRetried | Steered
)  # fmt: skip
