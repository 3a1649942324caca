"""Every task with its inputs (names of files) and parameters."""

from __future__ import annotations

from typing import Any

TASKS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "control": ({"video": "video"}, {"task": "control"}),
    "grey": ({"video": "video"}, {"task": "grey"}),
    "pair": ({"video": "video", "mask": "masks"}, {}),
    "one mask for all frames": ({"video": "video", "mask": "mask"}, {}),
    "inpainting, mask": ({"video": "video", "mask": "mask"}, {"task": "inpaint"}),
    "inpainting, looser mask": (
        {"video": "video", "mask": "masks"},
        {"task": "inpaint", "looser": {"shape": "hull", "ratio": 0.3}},
    ),
    "inpainting, box": ({"video": "video"}, {"task": "inpaint", "box": [8, 8, 40, 30]}),
    "outpainting": ({"video": "video"}, {"task": "outpaint", "sides": ["left", "up"], "ratio": 0.3}),
    "outpainting inside": ({"video": "video"}, {"task": "outpaint_inside", "sides": ["right"]}),
    "first frame": ({"image": "image"}, {"task": "first"}),
    "first clip": ({"video": "clip"}, {"task": "first"}),
    "last frame": ({"image": "image"}, {"task": "last"}),
    "last clip": ({"video": "clip"}, {"task": "last"}),
    "first and last frame": ({"image": "image", "last_image": "last"}, {"task": "first_last"}),
    "first and last clip": ({"video": "clip", "last_video": "clip"}, {"task": "first_last"}),
    "kept frames": ({"video": "video"}, {"task": "keep", "keep": [0, -1]}),
    "layout": ({"boxes": "boxes"}, {"task": "layout", "color": [200, 30, 90]}),
    "layout, boxes as a parameter": ({}, {"task": "layout", "boxes": [[4, 5, 20, 18], [22, 9, 45, 30]]}),
    "tracks": ({"mask": "masks"}, {"task": "tracks"}),
    "reference": ({"reference[0]": "portrait"}, {}),
    "reference, cut out": ({"reference[0]": "portrait", "reference_mask[0]": "portrait_mask"}, {}),
    "references": ({"reference[0]": "portrait", "reference[1]": "image"}, {}),
    "references in one frame": (
        {"reference[0]": "portrait", "reference[1]": "image"},
        {"join_references": True},
    ),
    "animate anything": ({"video": "video", "reference[0]": "portrait"}, {"task": "control"}),
    "swap anything": ({"video": "video", "mask": "mask", "reference[0]": "portrait"}, {"task": "inpaint"}),
    "expand anything": ({"image": "image", "reference[0]": "portrait"}, {"task": "expand", "ratio": 0.5}),
    "move anything": ({"image": "image", "boxes": "boxes"}, {"task": "move"}),
    "extension and control": (
        {"image": "image", "second.video": "video"},
        {"task": "first", "second": {"task": "control"}},
    ),
    "inpainting and control": (
        {"video": "video", "mask": "mask", "second.video": "other"},
        {"task": "inpaint", "second": {"task": "grey"}},
    ),
    "control and inpainting": (
        {"video": "other", "second.video": "video", "second.mask": "mask"},
        {"task": "control", "second": {"task": "inpaint"}},
    ),
    "control and extension": (
        {"video": "video", "second.image": "image"},
        {"task": "control", "second": {"task": "first"}},
    ),
    "two extensions": (
        {"image": "image", "second.image": "image"},
        {"task": "first", "second": {"task": "last"}},
    ),
    "two contexts": (
        {"video": "video", "context[0].video": "other", "context[0].reference": "portrait"},
        {"contexts": [{"task": "grey", "strength": 0.5, "end": 0.6}]},
    ),
}
