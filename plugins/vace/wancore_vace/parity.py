"""Golden-case kinds of VACE."""

from __future__ import annotations

from wancore.parity import Kind

CASES, TASKS = "wancore_vace.parity_cases", "wancore_vace.parity_tasks"

#: Pictures that OpenCV draws or dilates differ a little from version to version.
DRAWN = 0.01

KINDS = (
    Kind("vace", "forward", f"{CASES}:forward", placed=True),
    Kind("vace", "context", f"{CASES}:context"),
    Kind("vace", "reference_letterbox", f"{CASES}:reference_letterbox"),
    Kind("vace", "video_sampling", f"{CASES}:video_sampling"),
    Kind("vace", "resize_crop", f"{CASES}:resize_crop"),
    Kind("vace", "start_end_percent", f"{CASES}:start_end_percent"),
    Kind("vace", "fun22_pipeline", "wancore_vace.parity_pipelines:two_experts"),
    Kind("vace", "task_composition", f"{TASKS}:composition"),
    Kind("vace", "task_extension", f"{TASKS}:extend"),
    Kind("vace", "task_inpainting", f"{TASKS}:inpaint"),
    Kind("vace", "task_outpainting", f"{TASKS}:outpaint"),
    Kind("vace", "task_layout_bbox", f"{TASKS}:layout_bbox", pixel_fraction=DRAWN),
    Kind("vace", "task_mask_augment", f"{TASKS}:mask_augment", pixel_fraction=DRAWN),
)
