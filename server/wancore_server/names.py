"""Resource names: how they are written and read."""

from __future__ import annotations

import re
import uuid

from wancore_server.errors import invalid_field

ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
DIGEST = re.compile(r"sha256-[0-9a-f]{64}")


def new_job_id() -> str:
    return str(uuid.uuid4())


def job_id(name: str, field: str = "name") -> str:
    """The UUID in `jobs/{uuid}`. Raises `ApiError`."""
    return matched(name, "jobs", UUID, "jobs/{uuid}", field)


def session_id(name: str, field: str = "name") -> str:
    """The UUID in `sessions/{uuid}`. Raises `ApiError`."""
    return matched(name, "sessions", UUID, "sessions/{uuid}", field)


def artifact_id(name: str) -> tuple[str, int]:
    """Job and number in `jobs/{uuid}/artifacts/{n}`. Raises `ApiError`."""
    job, separator, number = name.partition("/artifacts/")
    if not separator or re.fullmatch(r"0|[1-9][0-9]{0,3}", number) is None:
        raise invalid_field("name", "must be jobs/{uuid}/artifacts/{n}")
    return job_id(job), int(number)


def asset_digest(name: str, field: str = "name") -> str:
    """`sha256-{hex}` in `assets/sha256-{hex}`. Raises `ApiError`."""
    return matched(name, "assets", DIGEST, "assets/sha256-{64 hex digits}", field)


def simple_id(name: str, collection: str, field: str = "name") -> str:
    """The id in `{collection}/{id}`. Raises `ApiError`."""
    return matched(name, collection, ID, f"{collection}/{{id}}", field)


def matched(name: str, collection: str, pattern: re.Pattern[str], shape: str, field: str) -> str:
    head, _, rest = name.partition("/")
    if head != collection or pattern.fullmatch(rest) is None:
        raise invalid_field(field, f"must be {shape}")
    return rest


def id_of(name: str) -> str:
    """A place below a folder as an id: `High/Style.safetensors` as `high-style`."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", name.lower().removesuffix(".safetensors"))
    return re.sub(r"^[._-]+", "", plain)[:56]


def unique(id: str, taken: set[str]) -> str:
    """`id`, or with a number behind it; `taken` then has it."""
    result, number = id, 2
    while result in taken:
        result, number = f"{id}-{number}", number + 1
    taken.add(result)
    return result


def request_id(text: str) -> str:
    """A UUID of version 4, or '' for none. Raises `ApiError`."""
    if not text:
        return ""
    try:
        parsed = uuid.UUID(text)
    except ValueError:
        parsed = None
    if parsed is None or parsed.version != 4 or str(parsed) != text.lower():
        raise invalid_field("request_id", "must be a UUID of version 4, with hyphens")
    return str(parsed)
