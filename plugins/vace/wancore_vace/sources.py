"""From a request's inputs to pairs of frames and masks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from wancore.engine.tools import Tools
from wancore.errors import InvalidInput
from wancore.media.video import Video
from wancore_vace.parameters import COVERING, NATURES, Box, Looser
from wancore_vace.roles import Named
from wancore_vace.source_video import frame_numbers
from wancore_vace.tasks import augment, control, extension, inpainting, layout, outpainting
from wancore_vace.tasks.composition import Nature, composed
from wancore_vace.tasks.pixels import Frames, Masks, Pair

DEFAULT_FPS = 16.0


@dataclass(frozen=True)
class Source:
    """Frames and masks at their own size.

    `blank`: what is to be generated is empty in the frames. `edited`: a video with a mask, as given.
    """

    pair: Pair
    fps: float = DEFAULT_FPS
    blank: bool = False
    edited: bool = False


@dataclass(frozen=True)
class Wanted:
    """What the video will be, where the inputs do not say: frames, and pixels."""

    frames: int
    height: int
    width: int


@dataclass(frozen=True)
class Reader:
    """Reads one source's inputs. `paths`: the request's inputs."""

    named: Named
    tools: Tools
    paths: Mapping[str, Path]
    wanted: Wanted

    def has(self, role: str) -> bool:
        return self.named.role(role) in self.paths

    @cached_property
    def main(self) -> Video:
        return self.tools.video(self.named.role("video"))

    def video(self) -> Frames:
        return self.main.frames

    def image(self, role: str = "image") -> Frames:
        """[1, H, W, 3]"""
        return np.asarray(self.tools.image(self.named.role(role)))[None]

    def clip(self, prefix: str = "") -> Frames:
        """The video, or the image as a video of one frame."""
        if not self.has(f"{prefix}video"):
            return self.image(f"{prefix}image")
        return self.tools.video(self.named.role(f"{prefix}video")).frames if prefix else self.video()

    def masks(self, frames: Frames | None) -> Masks:
        """[F, H, W] uint8 from a video, or from one image for all of `frames`. Raises `InvalidInput`."""
        role = self.named.role("mask")
        masks = read_masks(self.tools, role)
        if frames is None:
            return masks
        if masks.shape[1:] != frames.shape[1:3] or len(masks) not in (1, len(frames)):
            given = f"{len(masks)} frames of {masks.shape[2]}x{masks.shape[1]}"
            count, height, width = frames.shape[:3]
            raise InvalidInput(
                f"inputs.{role}", given, f"1 or {count} frames of {width}x{height}, as the video has"
            )
        return np.broadcast_to(masks, frames.shape[:3])

    def boxes(self) -> tuple[Box, Box]:
        source = self.named.source
        return source.boxes or read_boxes(self.paths[self.named.role("boxes")], self.named.role("boxes"))

    def missing(self, given: int) -> int:
        """How many frames to generate beside `given` ones."""
        count = self.named.source.length or self.wanted.frames - given
        if count < 1:
            accepted = f"fewer than {self.wanted.frames} frames, or params.length"
            raise InvalidInput(f"inputs.{self.named.role('video')}", f"{given} frames", accepted)
        return count


def read_masks(tools: Tools, role: str) -> Masks:
    """[F, H, W] uint8; one frame from a still image."""
    try:
        return np.asarray(tools.image(role))[None, ..., 0]
    except InvalidInput as no_image:
        try:
            return np.asarray(tools.video(role).frames)[..., 0]
        except InvalidInput as no_video:
            accepted = f"a mask: {no_image.accepted}, or {no_video.accepted}"
            raise InvalidInput(f"inputs.{role}", no_video.value, accepted) from no_video


def read_boxes(path: Path, role: str) -> tuple[Box, Box]:
    """Two boxes from JSON. Raises `InvalidInput`."""
    accepted = "a JSON file with two boxes: [[left, top, right, bottom], [left, top, right, bottom]]"
    try:
        first, last = json.loads(path.read_text(encoding="utf-8"))
        boxes = tuple(tuple(float(value) for value in box) for box in (first, last))
    except (OSError, ValueError, TypeError) as error:
        raise InvalidInput(f"inputs.{role}", str(path), f"{accepted}; {error}") from error
    if any(len(box) != 4 or not np.isfinite(box).all() for box in boxes):
        raise InvalidInput(f"inputs.{role}", boxes, accepted)
    return boxes[0], boxes[1]  # type: ignore[return-value]


def video(read: Reader) -> Pair:
    frames = read.video()
    return Pair(frames, read.masks(frames)) if read.has("mask") else everything(frames)


def grey(read: Reader) -> Pair:
    return everything(control.grey(read.video()))


def inpaint(read: Reader) -> Pair:
    frames, source = read.video(), read.named.source
    if source.box is not None:
        one = inpainting.box_mask(frames.shape[1], frames.shape[2], source.box)
        masks = np.broadcast_to(one, frames.shape[:3])
    else:
        masks = read.masks(frames)
    return inpainting.masked(frames, looser(masks, source.looser) if source.looser else masks)


def looser(masks: Masks, by: Looser) -> Masks:
    expansion = augment.Expansion(by.ratio, by.iterations, by.factors) if by.ratio else None
    binary = np.where(masks > 127, 255, 0).astype(np.uint8)
    return np.stack([augment.augmented(mask, by.shape, expansion) for mask in binary])


def outpaint(read: Reader) -> Pair:
    return outpainting.outside(read.video(), read.named.source.sides, read.named.source.ratio)


def outpaint_inside(read: Reader) -> Pair:
    return outpainting.inside(read.video(), read.named.source.sides, read.named.source.ratio)


def first(read: Reader) -> Pair:
    clip = read.clip()
    return extension.after(clip, read.missing(len(clip)))


def last(read: Reader) -> Pair:
    clip = read.clip()
    return extension.before(clip, read.missing(len(clip)))


def first_last(read: Reader) -> Pair:
    start, end = read.clip(), read.clip("last_")
    return extension.between(start, end, read.missing(len(start) + len(end)))


def keep(read: Reader) -> Pair:
    clip, numbers = read.video(), read.named.source.keep
    if wrong := [i for i in numbers if not -len(clip) <= i < len(clip)]:
        raise InvalidInput(
            f"{read.named.field}.keep", wrong[0], f"a frame of the video, 0 to {len(clip) - 1}"
        )
    return extension.keeping(clip, {i % len(clip) for i in numbers})


def moving_boxes(read: Reader) -> Pair:
    wanted = read.wanted
    return everything(box_frames(read, wanted.frames, wanted.height, wanted.width))


def box_frames(read: Reader, count: int, height: int, width: int) -> Frames:
    red, green, blue = read.named.source.color
    return layout.moving_box(*read.boxes(), count, height, width, (blue, green, red))


def tracks(read: Reader) -> Pair:
    return everything(layout.contours(read.masks(None), read.named.source.color))


def expand(read: Reader) -> Pair:
    """The picture with a border to fill in, then frames to generate."""
    grown = outpainting.outside(read.image(), read.named.source.sides, read.named.source.ratio)
    rest = extension.missing(grown.frames, read.missing(1))
    return Pair.joined(Pair(grown.frames.astype(np.float32), grown.masks.astype(np.float32)), rest)


def move(read: Reader) -> Pair:
    """The picture, then frames generated after a moving box."""
    image = read.image()
    drawn = box_frames(read, read.missing(1), image.shape[1], image.shape[2])
    return Pair.joined(Pair(image, np.zeros(image.shape[:3], np.uint8)), everything(drawn))


def everything(frames: Frames) -> Pair:
    """All pixels are to be generated."""
    return Pair(frames, np.full(frames.shape[:3], 255, np.uint8))


TASKS: Mapping[str, Callable[[Reader], Pair]] = {
    "video": video, "control": video, "grey": grey, "inpaint": inpaint, "outpaint": outpaint,
    "outpaint_inside": outpaint_inside, "first": first, "last": last, "first_last": first_last, "keep": keep,
    "layout": moving_boxes, "tracks": tracks, "expand": expand, "move": move,
}  # fmt: skip


def read_source(
    named: Named, second: Named | None, tools: Tools, paths: Mapping[str, Path], wanted: Wanted
) -> Source | None:
    """The frames and masks of a context, composed with a second task's; None without any input."""
    if named.source.task == "video" and named.role("video") not in paths:
        if second is not None:
            raise InvalidInput(
                f"{named.field}.second", second.source.task, "nothing to a context without a task"
            )
        return None
    if second is None:
        read = Reader(named, tools, paths, wanted)
        return source_of(named, read)
    return compose_sources(named, second, tools, paths, wanted)


def source_of(named: Named, read: Reader) -> Source:
    task = named.source.task
    fps = float(read.main.fps) if read.has("video") else DEFAULT_FPS
    return Source(TASKS[task](read), fps, task in COVERING, task == "video" and read.has("mask"))


def compose_sources(
    one: Named, other: Named, tools: Tools, paths: Mapping[str, Path], wanted: Wanted
) -> Source:
    """Two tasks in one. What one brings in frames, the other is made to last."""
    natures = nature(one, paths), nature(other, paths)
    pair: dict[Named, Source] = {}
    length = wanted.frames
    extends = [kind == "extension" for kind in natures]
    for named in (one, other) if extends <= [False, True] else (other, one):
        read = Reader(named, tools, paths, Wanted(length, wanted.height, wanted.width))
        pair[named] = source_of(named, read)
        length = len(pair[named].pair.frames)
    a, b = pair[one], pair[other]
    if a.pair.masks.shape != b.pair.masks.shape:
        raise InvalidInput(other.field, shape_of(b), f"{shape_of(a)}, as the first task has")
    return Source(composed(a.pair, b.pair, natures), a.fps, a.blank and b.blank, a.edited and b.edited)


def nature(named: Named, paths: Mapping[str, Path]) -> Nature:
    task = named.source.task
    if task in NATURES:
        return NATURES[task]
    if task == "video":
        return "repaint" if named.role("mask") in paths else "control"
    accepted = ", ".join(["video", *NATURES])
    raise InvalidInput(f"{named.field}.task", task, f"a task that can be composed: {accepted}")


def shape_of(source: Source) -> str:
    frames, height, width = source.pair.masks.shape
    return f"{frames} frames of {width}x{height}"


def sampled(source: Source, frames: int) -> Source:
    """The source stretched or squeezed to a number of frames."""
    if len(source.pair.frames) == frames:
        return source
    numbers = frame_numbers(len(source.pair.frames), source.fps, frames)
    return replace(source, pair=Pair(source.pair.frames[numbers], source.pair.masks[numbers]))


def eight_bit(frames: Frames) -> torch.Tensor:
    """uint8 [F, H, W, 3] for resizing; exact greys are put back afterwards, where the source is blank."""
    whole = frames if frames.dtype == np.uint8 else np.rint(frames).clip(0, 255).astype(np.uint8)
    return torch.from_numpy(np.ascontiguousarray(whole))
