"""Where the engine's fields of a request are in a `JobSpec`: refusals name what the caller wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wancore.errors import InvalidInput, shown
from wancore_server.errors import Violation

#: First part of an engine's field -> the same in a spec, where it is not the same name.
PLACES = {
    "frames": "shape.frame_count",
    "size": "shape",
    "fps": "shape.frame_rate",
    "steps": "sampling.steps",
    "solver": "sampling.solver",
    "shift": "sampling.shift",
    "guidance": "sampling.guidance",
    "sigmas": "sampling.sigmas",
    "windows": "sampling.windows",
    "methods": "sampling.methods",
}
#: Fields whose values are files here, or other things that a caller never wrote.
UNTOLD = ("inputs", "model", "modules", "loras")


def spec_field(error: InvalidInput, request: Mapping[str, Any]) -> str:
    """`frames` -> `spec.shape.frame_count`; `request` is the engine's, to count attachments and methods."""
    first, _, rest = error.field.partition(".")
    if first == "live":
        return "live_inputs"  # of the session, beside its spec
    owner = "spec"
    if error.attachment is not None:
        names = [use["name"] for use in request.get("attachments", ())]
        owner = f"spec.attachments[{names.index(error.attachment)}]" if error.attachment in names else owner
    if first == "methods" and rest:
        name, _, parameter = rest.partition(".")
        names = [use["name"] for use in request.get("methods", ())]
        at = f"spec.sampling.methods[{names.index(name)}]" if name in names else "spec.sampling.methods"
        return f"{at}.params.{parameter}" if parameter else at
    if first == "windows" and rest == "frames":
        rest = "frame_count"
    return ".".join(filter(None, (owner, PLACES.get(first, first), rest)))


def violation(error: InvalidInput, request: Mapping[str, Any]) -> Violation:
    """As the caller is told; no file of ours is named."""
    accepted = without_paths(error.accepted)
    if error.field == "model" and error.value is None:
        accepted = f"must be models/{{id}}, one that ListModels names; {accepted}"
    told = error.value is not None and error.field.partition(".")[0].partition("[")[0] not in UNTOLD
    problem = f"got {without_paths(shown(error.value))}; accepted: {accepted}" if told else accepted
    return Violation(spec_field(error, request), problem)


def without_paths(text: str) -> str:
    """Absolute paths become their last part."""
    return " ".join(shortened(word) for word in text.split(" "))


def shortened(word: str) -> str:
    bare = word.strip("'\"(),;:")
    if not bare.startswith("/") or bare == "/":
        return word
    return word.replace(bare, bare.rstrip("/").rpartition("/")[2])
