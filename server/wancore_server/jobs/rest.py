"""What can still be asked about a request after some of it was refused."""

from __future__ import annotations

import re
from collections.abc import Iterable

from google.protobuf.struct_pb2 import Struct
from wancore_proto.v1 import job_pb2

from wancore_server.errors import Violation

#: What a request can do without. Not the family, model, modules, LoRAs and inputs: what else is right
#: depends on them.
SPARE = {"seed", "delivery", "max_run_duration", "expire_time", "priority", "on_disconnect"}
PARAMS = re.compile(r"spec\.(?:attachments\[(\d+)\]\.|sampling\.methods\[(\d+)\]\.)?params\.(.+)", re.DOTALL)


def without(spec: job_pb2.JobSpec, refused: Iterable[Violation]) -> job_pb2.JobSpec | None:
    """A copy of `spec` less what was refused; None where it cannot do without."""
    rest = job_pb2.JobSpec()
    rest.CopyFrom(spec)
    return rest if all(leave_out(rest, violation.field) for violation in refused) else None


def leave_out(spec: job_pb2.JobSpec, field: str) -> bool:
    """False where it has to stay."""
    if (found := PARAMS.fullmatch(field)) is not None:
        use, method, path = found.groups()
        if use is not None:
            drop(spec.attachments[int(use)].params, path)
        elif method is None:
            drop(spec.params, path)
        elif int(method) < len(spec.sampling.methods):  # else all methods are left out already
            drop(spec.sampling.methods[int(method)].params, path)
        return True
    top, _, rest = field.removeprefix("spec.").partition(".")
    if top == "sampling":
        spec.sampling.ClearField(re.split(r"[.\[]", rest)[0])
    elif top == "shape" and rest in ("frame_count", "frame_rate"):
        spec.shape.ClearField(rest)
    elif top == "shape":  # one side is nothing without the other
        spec.shape.ClearField("width")
        spec.shape.ClearField("height")
    elif top in SPARE:
        spec.ClearField(top)
    else:
        return False
    return True


def drop(params: Struct, path: str) -> None:
    """`path` names a parameter or something in it; a name may itself have dots."""
    for name in [name for name in params.fields if path == name or path.startswith(f"{name}.")]:
        del params.fields[name]


def overlap(one: str, other: str) -> bool:
    """Whether two field paths are the same, or one is in the other."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")
