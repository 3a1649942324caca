"""LoRAs of a request, as keyword arguments and as text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from wancore_proto.v1 import catalog_service_pb2, job_pb2

from wancore_client.errors import WancoreClientError

LoraValue = str | tuple[str, float | Sequence[float]] | Mapping[str, Any]
ID = re.compile(r"(loras/)?[a-z0-9][a-z0-9._-]{0,62}")
EXPERTS = {"high": job_pb2.LoraUse.EXPERT_HIGH_NOISE, "low": job_pb2.LoraUse.EXPERT_LOW_NOISE}
NORMS = {"trained": job_pb2.LoraUse.DORA_NORM_TRAINED, "comfyui": job_pb2.LoraUse.DORA_NORM_COMFYUI}
FIELDS = ("name", "strength", "expert", "blocks", "layers", "drop", "dora", "partial")
TEXT = "NAME, NAME:STRENGTH, or NAME:strength=1;0.5,expert=high,blocks=0-9;12,layers=self_attn,drop=ffn"


def lora_uses(values: Iterable[LoraValue]) -> list[job_pb2.LoraUse]:
    """LoRAs as messages; each a name, (name, strength), or a mapping with `name` and any of `strength` (one,
    or one for each step), `expert` (high, low), `blocks`, `layers`, `drop`, `dora` (trained, comfyui) and
    `partial`. Raises `WancoreClientError`."""
    return [lora_use(value) for value in values]


def lora_use(value: LoraValue) -> job_pb2.LoraUse:
    if isinstance(value, str):
        return lora_use({"name": value})
    if isinstance(value, tuple):
        return lora_use(dict(zip(("name", "strength"), value, strict=True)))
    if unknown := [field for field in value if field not in FIELDS]:
        raise WancoreClientError(f"loras: got {unknown[0]!r}; accepted: {', '.join(FIELDS)}")
    if not value.get("name"):
        raise WancoreClientError("loras: a LoRA needs a name")
    strength = value.get("strength", ())
    return job_pb2.LoraUse(
        name=value["name"],
        strengths=[strength] if isinstance(strength, int | float) else list(strength),
        expert=choice(EXPERTS, value.get("expert"), "expert"),
        blocks=list(value.get("blocks", ())),
        layers=parts(value.get("layers", ())),
        drop=parts(value.get("drop", ())),
        dora_norm=choice(NORMS, value.get("dora"), "dora"),
        partial=bool(value.get("partial", False)),
    )


def choice(choices: Mapping[str, Any], name: str | None, field: str) -> Any:
    if name is not None and name not in choices:
        raise WancoreClientError(f"loras.{field}: got {name!r}; accepted: {', '.join(choices)}")
    return 0 if name is None else choices[name]


def parts(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def resolve(
    uses: Iterable[job_pb2.LoraUse], listed: Callable[[], Iterable[catalog_service_pb2.Lora]]
) -> None:
    """Makes resource names of ids and of file names; the server is asked only for the latter."""
    for use in uses:
        if ID.fullmatch(use.name):
            use.name = use.name if use.name.startswith("loras/") else f"loras/{use.name}"
        else:
            use.name = named(use.name, {lora.display_name: lora.name for lora in listed()})


def named(name: str, known: Mapping[str, str]) -> str:
    """The resource name of a file by its name, with or without suffix, either slash."""
    plain = name.replace("\\", "/").removesuffix(".safetensors")
    if plain not in known:
        close = get_close_matches(plain, known, n=3) or list(known)[:3]
        raise WancoreClientError(f"loras: got {name!r}; the server has {', '.join(close) or 'none'}")
    return known[plain]


def parse_lora(text: str) -> Mapping[str, Any]:
    """`NAME[:STRENGTH]`, or `NAME:option=value,…` with lists as `a;b` and blocks also as ranges `0-9`."""
    name, colon, rest = text.rpartition(":")
    if colon and "=" not in rest and number(rest) is not None:
        return {"name": name, "strength": number(rest)}
    if not colon or "=" not in rest:
        return {"name": text}
    fields: dict[str, Any] = {"name": name}
    for part in re.split(r",(?=\w+=)", rest):
        option, _, value = part.partition("=")
        if option not in FIELDS or option in fields or not value:
            raise WancoreClientError(f"--lora: got {text!r}; accepted: {TEXT}")
        fields[option] = parse_option(option, value, text)
    return fields


def parse_option(option: str, value: str, text: str) -> Any:
    items = value.split(";")
    match option:
        case "strength":
            numbers = [number(item) for item in items]
            if None in numbers:
                raise WancoreClientError(f"--lora: got {text!r}; accepted: strength=1;0.5;0")
            return numbers
        case "blocks":
            return [block for item in items for block in block_range(item, text)]
        case "layers" | "drop":
            return items
        case "partial":
            return value.lower() in ("true", "yes", "1")
    return value


def block_range(item: str, text: str) -> range:
    """`7` or `0-9`, both ends included."""
    match = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", item)
    if match is None:
        raise WancoreClientError(f"--lora: got {text!r}; accepted: blocks=0-9;12")
    return range(int(match[1]), int(match[2] or match[1]) + 1)


def number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
