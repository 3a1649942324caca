"""Golden cases of the tasks."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np

from wancore.parity import Case
from wancore_vace.tasks import augment, extension, inpainting, layout, outpainting
from wancore_vace.tasks.composition import Nature, composed
from wancore_vace.tasks.pixels import Pair

Arrays = Mapping[str, Any]

NATURES: tuple[Nature, ...] = ("repaint", "extension", "control")
SHAPES: Mapping[str, augment.Shape] = {"original": "original", "hull": "hull", "bbox": "box"}


def array(case: Case, name: str) -> np.ndarray:
    return case.inputs[name].numpy()


def outputs(**pairs: Pair) -> Arrays:
    found = {f"{name}_frames": pair.frames for name, pair in pairs.items()}
    return found | {f"{name}_masks": pair.masks for name, pair in pairs.items()}


def composition(case: Case) -> Arrays:
    first, second = (
        Pair(array(case, f"frames_{i}"), array(case, f"masks_{i}")[..., 0] * 255) for i in (1, 2)
    )
    made = {f"{a}_{b}": composed(first, second, (a, b)) for a, b in product(NATURES, NATURES)}
    return outputs(**{name: Pair(pair.frames, pair.masks[..., None]) for name, pair in made.items()})


def extend(case: Case) -> Arrays:
    count = case.config["expand_num"]
    clip, clip_2 = array(case, "clip"), array(case, "clip_2")
    image, image_2 = array(case, "image")[None], array(case, "image_2")[None]
    return outputs(
        firstframe=extension.after(image, count),
        firstclip=extension.after(clip, count),
        lastframe=extension.before(image, count),
        lastclip=extension.before(clip, count),
        firstlastframe=extension.between(image, image_2, count),
        firstlastclip=extension.between(clip, clip_2, count),
    )


def inpaint(case: Case) -> Arrays:
    frames = array(case, "frames")
    return outputs(
        bbox=inpainting.boxed(frames, case.config["bbox"]),
        mask=inpainting.masked(frames, array(case, "mask")),
    )


def outpaint(case: Case) -> Arrays:
    frames = array(case, "frames")
    found: dict[str, Any] = {}
    for i, (sides, ratio) in enumerate(case.config["cases"]):
        outer, inner = outpainting.outside(frames, sides, ratio), outpainting.inside(frames, sides, ratio)
        found |= {f"frames_{i}": outer.frames, f"masks_{i}": outer.masks}
        found |= {f"inner_frames_{i}": inner.frames, f"inner_masks_{i}": inner.masks}
    return found


def layout_bbox(case: Case) -> Arrays:
    height, width = case.config["frame_size"]
    start, end = case.config["bbox"]
    color, count = tuple(case.config["color"]), case.config["num_frames"]
    return {"frames": layout.moving_box(start, end, count, height, width, color)}


def mask_augment(case: Case) -> Arrays:
    mask = array(case, "mask")
    return {f"mask_{i}": augmented(mask, **asked) for i, asked in enumerate(case.config["cases"])}


def augmented(mask: np.ndarray, mode: str, kwargs: Mapping[str, Any] | None = None) -> np.ndarray:
    shape, _, expand = mode.partition("_")
    given = kwargs or {}
    if not expand:
        return augment.augmented(mask, SHAPES[shape])
    factors = tuple(given["expand_lrtp"])
    by = augment.Expansion(given["expand_ratio"], given["expand_iters"], factors)
    return augment.augmented(mask, SHAPES[shape], by)
