"""Keyword arguments as a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from google.protobuf.duration_pb2 import Duration
from wancore_proto.v1 import frames_pb2, job_pb2

from wancore_client.attachments import AttachmentValue
from wancore_client.attachments import attachments as attachment_messages
from wancore_client.errors import WancoreClientError
from wancore_client.frames import ENCODINGS
from wancore_client.loras import LoraValue, lora_uses

PRIORITIES = {
    "low": job_pb2.PRIORITY_LOW,
    "normal": job_pb2.PRIORITY_NORMAL,
    "high": job_pb2.PRIORITY_HIGH,
}


def job_spec(
    prompt: str = "",
    *,
    negative_prompt: str | None = None,
    family: str | None = None,
    model: str | None = None,
    size: tuple[int, int] | None = None,
    frames: int | None = None,
    fps: float | Fraction | None = None,
    steps: int | None = None,
    seed: int | None = None,
    solver: str | None = None,
    guidance: float | Sequence[float] | None = None,
    shift: float | None = None,
    params: Mapping[str, Any] | None = None,
    inputs: Mapping[str, str] | None = None,
    methods: Mapping[str, Mapping[str, Any]] | None = None,
    loras: Sequence[LoraValue] = (),
    modules: Sequence[str] = (),
    attachments: Sequence[AttachmentValue] = (),
    previews: bool = False,
    keep: Sequence[str] = (),
    priority: str = "normal",
    max_seconds: float | None = None,
) -> job_pb2.JobSpec:
    """`size` (width, height) in pixels; `inputs`: role -> asset name; `methods`: name -> parameters;
    `loras`: see `loras.lora_uses`; `modules`: models with the lead family's own weights; `attachments`:
    further families, see `attachments.attachments`; `keep`: encodings to make files of; `max_seconds`: how
    long it may run. None: the server's default."""
    spec = job_pb2.JobSpec(prompt=prompt, inputs=dict(inputs or {}))
    spec.family = resource("families", family)
    spec.model = resource("models", model)
    if negative_prompt is not None:
        spec.negative_prompt = negative_prompt
    if size is not None:
        spec.shape.width, spec.shape.height = size
    spec.shape.frame_count = frames or 0
    if fps is not None:
        rate = Fraction(fps).limit_denominator(100_000)
        spec.shape.frame_rate.CopyFrom(
            frames_pb2.FrameRate(numerator=rate.numerator, denominator=rate.denominator)
        )
    if seed is not None:
        spec.seed = seed
    spec.params.update(dict(params or {}))
    spec.sampling.CopyFrom(sampling(steps, solver, guidance, shift, methods))
    spec.loras.extend(lora_uses(loras))
    spec.modules.extend(resource("models", name) for name in modules)
    spec.attachments.extend(attachment_messages(attachments))
    spec.delivery.previews = previews
    spec.delivery.encodings.extend(encoding(name) for name in keep)
    spec.priority = chosen(PRIORITIES, priority, "priority")
    if max_seconds is not None:
        span = Duration()
        span.FromNanoseconds(int(max_seconds * 1e9))
        spec.max_run_duration.CopyFrom(span)
    return spec


def sampling(
    steps: int | None, solver: str | None, guidance: float | Sequence[float] | None, shift: float | None,
    methods: Mapping[str, Mapping[str, Any]] | None,
) -> job_pb2.Sampling:  # fmt: skip
    scales = [guidance] if isinstance(guidance, int | float) else list(guidance or ())
    result = job_pb2.Sampling(steps=steps or 0, solver=solver or "", guidance=scales)
    if shift is not None:
        result.shift = shift
    for name, params in (methods or {}).items():
        result.methods.add(name=name).params.update(dict(params))
    return result


def resource(collection: str, id: str | None) -> str:
    """`wan` or `families/wan` as `families/wan`."""
    if not id:
        return ""
    return id if id.startswith(f"{collection}/") else f"{collection}/{id}"


def encoding(name: str) -> frames_pb2.Encoding:
    return chosen(ENCODINGS, name, "encoding")


def chosen(choices: Mapping[str, Any], name: str, field: str) -> Any:
    if name not in choices:
        raise WancoreClientError(f"{field}: got {name!r}; accepted: {', '.join(choices)}")
    return choices[name]
