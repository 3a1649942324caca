"""A checked request in the engine's words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from wancore_proto.v1 import job_pb2

from wancore_server.jobs.loras import lora_fields
from wancore_server.jobs.validate import plain


def engine_request(
    spec: job_pb2.JobSpec,
    model: str,
    module: Callable[[str], str],
    lora: Callable[[str], str],
    path: Callable[[str], Path],
) -> dict[str, Any]:
    """The fields of `wancore.request.Request`; what is absent is left out.

    `model`: as the engine resolves it; `module(name)`, `lora(name)`: the same for further weights and
    adapters; `path(digest)`: an input's file.
    """

    def files(inputs: dict[str, str]) -> dict[str, str]:
        return {role: str(path(name.removeprefix("assets/"))) for role, name in inputs.items()}

    sampling, shape = spec.sampling, spec.shape
    fields: dict[str, Any] = {
        "prompt": spec.prompt,
        "negative_prompt": spec.negative_prompt if spec.HasField("negative_prompt") else None,
        "family": spec.family.removeprefix("families/") or None,
        "model": model or None,
        "modules": [module(name) for name in spec.modules],
        "size": {"width": shape.width, "height": shape.height} if shape.width else None,
        "frames": shape.frame_count or None,
        "fps": shape.frame_rate.numerator / shape.frame_rate.denominator
        if shape.HasField("frame_rate")
        else None,
        "steps": sampling.steps or None,
        "seed": spec.seed if spec.HasField("seed") else None,
        "solver": sampling.solver or None,
        "guidance": list(sampling.guidance) or None,
        "sigmas": list(sampling.sigmas) or None,
        "shift": sampling.shift if sampling.HasField("shift") else None,
        "inputs": files(dict(spec.inputs)),
        "params": plain(spec.params),
        "methods": [{"name": m.name, "params": plain(m.params)} for m in sampling.methods],
        "windows": windows(sampling.windows) if sampling.HasField("windows") else None,
        "attachments": [
            {
                "name": use.family.removeprefix("families/"),
                "params": plain(use.params),
                "inputs": files(dict(use.inputs)),
                "modules": [module(name) for name in use.modules],
            }
            for use in spec.attachments
        ],
        "loras": [lora_fields(use, lora) for use in spec.loras],
        "previews": spec.delivery.previews,
    }
    return {name: value for name, value in fields.items() if value is not None}


def windows(asked: job_pb2.OverlapWindows) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "schedule": asked.schedule,
        "frames": asked.frame_count,
        "stride": asked.stride,
        "fuse": asked.fuse,
    }
    chosen = {name: value for name, value in fields.items() if value}
    return {**chosen, "overlap": asked.overlap} if asked.HasField("overlap") else chosen
