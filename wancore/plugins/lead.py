"""What a lead settles: the request's own choices, else the checkpoint's, else the family's."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from wancore.checkpoints.defaults import ModelDefaults
from wancore.errors import InvalidInput
from wancore.plugins.family import Base, Lead
from wancore.request import Request, Size


@dataclass(frozen=True)
class LeadDefaults:
    """What a model was published to be run with.

    `width`, `height` in pixels, `frames` pixel frames, `fps` frames per second. `guidance`: one scale, or
    one per expert in the order of use. `boundary`: between two experts, where the files do not say it.
    """

    width: int
    height: int
    frames: int
    fps: Fraction
    steps: int
    shift: float
    guidance: tuple[float, ...]
    negative_prompt: str = ""
    solver: str = "unipc"
    boundary: float | None = None


def settled_lead(
    request: Request,
    base: Base,
    defaults: LeadDefaults,
    *,
    size: tuple[int, int] | None = None,
    frames: int | None = None,
) -> Lead:
    """Every value of a lead. `size` (width, height) and `frames` where the family has settled them itself.

    Raises `InvalidInput` for a size or a number of frames that the model cannot make, and for more
    guidance scales than it has experts.
    """
    request = suited(request, base.defaults)
    width, height = size or settled_size(request, base, defaults.width, defaults.height)
    negative = request.negative_prompt
    return Lead(
        width=width,
        height=height,
        frames=frames or settled_frames(request, base, defaults.frames),
        fps=settled_fps(request, defaults.fps),
        steps=request.steps or defaults.steps,
        solver=request.solver or defaults.solver,
        shift=request.shift or defaults.shift,
        guidance_scales=settled_guidance(request, base, defaults.guidance),
        negative_prompt=defaults.negative_prompt if negative is None else negative,
        boundary=(base.boundary or defaults.boundary) if len(base.experts) == 2 else None,
    )


def suited(request: Request, defaults: ModelDefaults) -> Request:
    """The request with what the checkpoint says it is best run with, where the request says nothing."""
    given = defaults.model_dump(exclude_none=True, exclude={"width", "height", "pictures"})
    if defaults.width and defaults.height:
        given["size"] = Size(width=defaults.width, height=defaults.height)
    if request.sigmas is not None:
        given.pop("steps", None)
    left = {name: value for name, value in given.items() if getattr(request, name) is None}
    return request.model_copy(update=left)


def settled_size(request: Request, base: Base, width: int, height: int) -> tuple[int, int]:
    """(width, height) in pixels: the request's, else those given. Raises `InvalidInput` unless they fit."""
    if request.size is not None:
        width, height = request.size.width, request.size.height
    check_multiples(base, width, height)
    return width, height


def check_multiples(base: Base, width: int, height: int) -> None:
    """Raises `InvalidInput` for a size in pixels that is no whole number of tokens."""
    if width % base.token_width or height % base.token_height:
        accepted = f"multiples of {base.token_width} pixels"
        if base.token_width != base.token_height:
            accepted = f"multiples of {base.token_width} x {base.token_height} pixels"
        raise InvalidInput("size", f"{width}x{height}", accepted)


def settled_frames(request: Request, base: Base, frames: int) -> int:
    """Pixel frames: the request's, else `frames`. Raises `InvalidInput` unless latent frames hold them."""
    asked = request.frames or frames
    check_frames(base, asked, frames)
    return asked


def check_frames(base: Base, frames: int, example: int) -> None:
    """Raises `InvalidInput` for a number of pixel frames that is no whole number of latent frames."""
    stride = base.temporal_stride
    if frames % stride != 1 % stride:
        raise InvalidInput("frames", frames, f"{stride}n + 1, for example {example}")


def settled_fps(request: Request, fps: Fraction) -> Fraction:
    """Frames per second: the request's, as a fraction with a denominator up to 1001, else `fps`."""
    return fps if request.fps is None else Fraction(request.fps).limit_denominator(1001)


def settled_guidance(request: Request, base: Base, scales: tuple[float, ...]) -> tuple[float, ...]:
    """One scale per expert, in the order of use; one given scale is for all. Raises `InvalidInput`."""
    given, experts = request.guidance or scales, len(base.experts)
    if len(given) > experts:
        raise InvalidInput("guidance", list(given), "one scale: this model has one transformer")
    return given if len(given) == experts else given * experts
