"""Attached families of a request, as keyword arguments and as text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wancore_proto.v1 import job_pb2

from wancore_client.errors import WancoreClientError

AttachmentValue = str | Mapping[str, Any]
Inputs = Mapping[str, str | Path]
FIELDS = ("family", "modules", "inputs", "params")


def attachments(
    values: Iterable[AttachmentValue], uploaded: Callable[[Inputs], Mapping[str, str]] | None = None
) -> list[job_pb2.FamilyUse]:
    """Families as messages; each an id, or a mapping with `family` and any of `modules` (ids of models),
    `inputs` (role -> asset, or file where `uploaded` makes assets of files) and `params`. Raises
    `WancoreClientError`."""
    return [attachment(value, uploaded) for value in values]


def attachment(
    value: AttachmentValue, uploaded: Callable[[Inputs], Mapping[str, str]] | None
) -> job_pb2.FamilyUse:
    fields: Mapping[str, Any] = {"family": value} if isinstance(value, str) else value
    if unknown := [field for field in fields if field not in FIELDS]:
        raise WancoreClientError(f"attachments: got {unknown[0]!r}; accepted: {', '.join(FIELDS)}")
    if not fields.get("family"):
        raise WancoreClientError("attachments: an attachment needs a family")
    inputs: Mapping[str, Any] = fields.get("inputs", {})
    made = job_pb2.FamilyUse(
        family=under("families", fields["family"]),
        modules=[under("models", name) for name in fields.get("modules", ())],
        inputs=dict(uploaded(inputs) if uploaded is not None else inputs),
    )
    made.params.update(dict(fields.get("params", {})))
    return made


def under(collection: str, id: str) -> str:
    return id if id.startswith(f"{collection}/") else f"{collection}/{id}"


def parse_attachments(
    attach: Sequence[str], inputs: Sequence[str], modules: Sequence[str]
) -> list[dict[str, Any]]:
    """From `FAMILY[:NAME=VALUE,…]`, with those of `FAMILY/ROLE=FILE` and `FAMILY=MODEL` that name one."""
    uses: dict[str, dict[str, Any]] = {}
    for text in attach:
        family, _, rest = text.partition(":")
        if not family or family in uses:
            raise WancoreClientError(
                f"--attach: got {text!r}; accepted: each family once, FAMILY:NAME=VALUE,…"
            )
        pairs = [part.partition("=") for part in re.split(r",(?=[\w-]+=)", rest)] if rest else []
        if not all(equals for _, equals, _ in pairs):
            raise WancoreClientError(f"--attach: got {text!r}; accepted: FAMILY or FAMILY:NAME=VALUE,…")
        params = {name: listed(value) for name, _, value in pairs}
        uses[family] = {"family": family, "params": params, "inputs": {}, "modules": []}
    for text in inputs:
        family, _, rest = text.partition("/")
        role, _, file = rest.partition("=")
        use_of(uses, family, "--input", text)["inputs"][role] = file
    for text in modules:
        family, _, model = text.partition("=")
        use_of(uses, family, "--module", text)["modules"].append(model)
    return list(uses.values())


def use_of(uses: Mapping[str, dict[str, Any]], family: str, option: str, text: str) -> dict[str, Any]:
    if family not in uses:
        attached = ", ".join(uses) or "none; see --attach"
        raise WancoreClientError(f"{option}: got {text!r}; accepted: an attached family: {attached}")
    return uses[family]


def listed(text: str) -> Any:
    """JSON where it is some, a list where it is `a;b`, else text."""
    if ";" in text:
        return [listed(item) for item in text.strip("[]").split(";")]
    try:
        return json.loads(text)
    except ValueError:
        return text


def of_attachment(text: str) -> bool:
    """Whether an input is `FAMILY/ROLE=FILE`."""
    return "/" in text.partition("=")[0]
