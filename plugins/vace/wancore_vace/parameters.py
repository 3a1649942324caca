"""What a request can say to VACE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from wancore.plugins.inputs import ParameterModel
from wancore_vace.tasks.composition import Nature

Task = Literal[
    "video", "control", "grey", "inpaint", "outpaint", "outpaint_inside", "first", "last", "first_last",
    "keep", "layout", "tracks", "expand", "move",
]  # fmt: skip

#: What each task does to frames, where it can be composed with another.
NATURES: dict[str, Nature] = {
    "control": "control", "grey": "control", "layout": "control", "tracks": "control",
    "inpaint": "repaint", "outpaint": "repaint", "outpaint_inside": "repaint",
    "first": "extension", "last": "extension", "first_last": "extension", "keep": "extension",
}  # fmt: skip
#: Tasks whose covered pixels hold nothing, so that they are made exactly mid grey.
COVERING = frozenset(NATURES) - {name for name, nature in NATURES.items() if nature == "control"} | {"expand"}

Share = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(ge=0, le=10)]
Box = tuple[float, float, float, float]
Color = tuple[
    Annotated[int, Field(ge=0, le=255)],
    Annotated[int, Field(ge=0, le=255)],
    Annotated[int, Field(ge=0, le=255)],
]


class Looser(ParameterModel):
    """A mask that is larger than the one given."""

    shape: Literal["original", "hull", "box"] = Field(
        default="original", description="the mask itself, its convex hull or the box around it"
    )
    ratio: Annotated[float, Field(ge=0, le=4)] = Field(
        default=0.0, description="how far it grows, as a share of its size; published: 0.3"
    )
    iterations: Annotated[int, Field(ge=1, le=10)] = Field(default=5, description="steps in which it grows")
    factors: tuple[Share, Share, Share, Share] = Field(
        default=(0.5, 0.5, 0.5, 0.5), description="how much of that to the left, right, up and down"
    )


class SourceParameters(ParameterModel):
    """One pair of frames and masks."""

    task: Task = Field(
        default="video",
        description=(
            "what is done with the inputs. video: as they are; control: every pixel is generated after the "
            "video; grey: after its grey version; inpaint: what the mask or box shows; outpaint, "
            "outpaint_inside: beyond the edges, or a border; first, last, first_last: frames that go on from "
            "given ones; keep: between frames of the video; layout: after moving boxes; tracks: after the "
            "outlines of a mask video; expand: the image outpainted, then moving; move: the image, then boxes"
        ),
    )
    box: Box | None = Field(
        default=None,
        description="inpaint: left, top, right, bottom in pixels of the video, in place of a mask",
    )
    boxes: tuple[Box, Box] | None = Field(
        default=None, description="layout, move: first and last box, in place of the boxes input"
    )
    color: Color = Field(default=(0, 0, 0), description="layout, move, tracks: red, green, blue of the lines")
    sides: tuple[Literal["left", "right", "up", "down"], ...] = Field(
        default=("left", "right", "up", "down"), description="outpaint, outpaint_inside, expand: where"
    )
    ratio: Annotated[float, Field(gt=0, le=4)] = Field(
        default=0.25, description="outpaint, outpaint_inside, expand: share of the frame's size, on each side"
    )
    length: Annotated[int, Field(ge=1, le=4096)] | None = Field(
        default=None,
        description="first, last, first_last, expand, move: frames to generate; default: those missing",
    )
    keep: tuple[Annotated[int, Field(ge=-4096, le=4095)], ...] = Field(
        default=(0,), min_length=1, description="keep: numbers of the frames that are given; -1 is the last"
    )
    looser: Looser | None = Field(default=None, description="inpaint: a mask larger than the one given")


class ContextParameters(SourceParameters):
    """A source, and how strongly it acts."""

    strength: Factor | Annotated[tuple[Factor, ...], Field(min_length=1)] = Field(
        default=1.0, description="0 to 10, or a list with one for each step"
    )
    layer_strengths: Annotated[tuple[Factor, ...], Field(min_length=1)] | None = Field(
        default=None, description="a further factor for each VACE block"
    )
    start: Share = Field(default=0.0, description="share of the steps after which it begins to act")
    end: Share = Field(default=1.0, description="share of the steps after which it no longer acts")
    join_references: bool = Field(
        default=False, description="reference images side by side in one frame, instead of a frame each"
    )

    @model_validator(mode="after")
    def in_order(self) -> Self:
        if self.start > self.end:
            raise ValueError("start must not be above end")
        return self


class Parameters(ContextParameters):
    """VACE's parameters; those of the first context are at the top."""

    second: SourceParameters | None = Field(
        default=None,
        description="a second task to compose with the first; its inputs are second.video, second.mask, …",
    )
    contexts: tuple[ContextParameters, ...] = Field(
        default=(), max_length=8, description="further contexts; their inputs are context[0].video, …"
    )
    fit: Literal["source", "size"] = Field(
        default="source",
        description="source: the video keeps its shape, at the area of the size; size: it is cropped",
    )

    @property
    def all_contexts(self) -> Sequence[ContextParameters]:
        return (self, *self.contexts)
