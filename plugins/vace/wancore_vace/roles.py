"""The inputs: roles of the first context, of a task composed with it, and of further contexts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from wancore.errors import InvalidInput
from wancore.plugins.inputs import InputSpec, InputType
from wancore_vace.parameters import Parameters, SourceParameters

SOURCE = (
    ("video", InputType.VIDEO, "the video to edit, to follow or to go on from"),
    ("mask", InputType.MASK, "white where pixels are to be generated: a video, or one image for all frames"),
    ("image", InputType.IMAGE, "the first or the last frame: tasks first, last, first_last, expand, move"),
    ("last_video", InputType.VIDEO, "what a video ends in: task first_last"),
    ("last_image", InputType.IMAGE, "the frame a video ends in: task first_last"),
    ("boxes", InputType.BOXES, "JSON: [[left, top, right, bottom], …] first and last box: layout, move"),
)
REFERENCES = (
    InputSpec(
        "reference", InputType.IMAGE, "what shall appear in the video; at most 3 are advised", many=True
    ),
    InputSpec("reference_mask", InputType.MASK, "white on the part of the reference that counts", many=True),
)
INPUTS = (
    *(InputSpec(role, kind, text) for role, kind, text in SOURCE),
    *REFERENCES,
    *(InputSpec(f"second.{role}", kind, f"of the second task: {text}") for role, kind, text in SOURCE),
    *(
        InputSpec(f"context.{role}", kind, f"of a further context: {text}", many=True)
        for role, kind, text in (*SOURCE, ("reference", InputType.IMAGE, "what shall appear in the video"))
    ),
)

#: Roles that each task needs (one of each group) and may have.
NEEDS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "video": (), "control": (("video",),), "grey": (("video",),), "inpaint": (("video",), ("mask", "box")),
    "outpaint": (("video",),), "outpaint_inside": (("video",),), "first": (("video", "image"),),
    "last": (("video", "image"),), "first_last": (("video", "image"), ("last_video", "last_image")),
    "keep": (("video",),), "layout": (("boxes",),), "tracks": (("mask",),), "expand": (("image",),),
    "move": (("image",), ("boxes",)),
}  # fmt: skip
MAY: Mapping[str, tuple[str, ...]] = {"video": ("video", "mask"), "control": ("mask",)}


@dataclass(frozen=True)
class Named:
    """One source of a request: where its inputs are (`prefix`), and where its parameters (`field`)."""

    source: SourceParameters
    prefix: str = ""
    field: str = "params"

    def role(self, name: str) -> str:
        return f"{self.prefix}{name}"


def sources(parameters: Parameters) -> list[Named]:
    """Every source of a request, the first context's first."""
    found = [Named(parameters)]
    if parameters.second is not None:
        found.append(Named(parameters.second, "second.", "params.second"))
    found += [
        Named(context, f"context[{i}].", f"params.contexts.{i}")
        for i, context in enumerate(parameters.contexts)
    ]
    return found


def check_inputs(parameters: Parameters, inputs: Mapping[str, Any]) -> None:
    """Every task has what it needs and nothing else. Raises `InvalidInput`."""
    named = sources(parameters)
    for name in named:
        check_source(name, inputs)
    prefixes = {n.prefix for n in named}
    for role in inputs:
        prefix = role[: role.rindex(".") + 1] if "." in role else ""
        if prefix not in prefixes:
            field = "second" if prefix == "second." else "contexts"
            raise InvalidInput(f"inputs.{role}", str(inputs[role]), f"inputs of what params.{field} lists")
    check_references(inputs)


def check_source(named: Named, inputs: Mapping[str, Any]) -> None:
    task, groups = named.source.task, NEEDS[named.source.task]
    given = {role for role, *_ in SOURCE if named.role(role) in inputs}
    parameters = {name for name in ("box", "boxes") if getattr(named.source, name) is not None}
    for group in groups:
        if len((given | parameters) & set(group)) != 1:
            which = " or ".join(named.role(role) for role in group)
            found = [named.role(role) for role in group if role in given | parameters] or None
            raise InvalidInput(f"inputs.{named.role(group[0])}", found, f"{which}; the task {task} needs one")
    if {"boxes"} <= given & parameters:
        raise InvalidInput(f"{named.field}.boxes", named.source.boxes, "boxes as an input or here, not both")
    taken = {role for group in groups for role in group} | set(MAY.get(task, ()))
    for role in sorted((given | parameters) - taken):
        field = f"inputs.{named.role(role)}" if role in given else f"{named.field}.{role}"
        raise InvalidInput(field, role, f"nothing; the task {task} does not read it")
    if task == "video" and named.role("mask") in inputs and named.role("video") not in inputs:
        raise InvalidInput(f"inputs.{named.role('video')}", None, "the video that the mask belongs to")


def is_reference(role: str) -> bool:
    return re.fullmatch(r"reference\[\d+\]|context\[\d+\]\.reference", role) is not None


def references(inputs: Iterable[str], prefix: str = "") -> list[str]:
    """The roles of one context's references, in order."""
    if prefix:
        return [f"{prefix}reference"] if f"{prefix}reference" in inputs else []
    numbered = {int(m[1]): role for role in inputs if (m := re.fullmatch(r"reference\[(\d+)\]", role))}
    return [numbered[i] for i in sorted(numbered)]


def check_references(inputs: Mapping[str, Any]) -> None:
    for role in inputs:
        if (match := re.fullmatch(r"reference_mask(\[\d+\])", role)) and f"reference{match[1]}" not in inputs:
            raise InvalidInput(f"inputs.{role}", str(inputs[role]), f"a mask of a given reference{match[1]}")
