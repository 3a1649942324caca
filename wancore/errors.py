"""Errors written for the person who made the mistake."""

from __future__ import annotations

from pathlib import Path


class WancoreError(Exception):
    """Base of every error that wancore raises on purpose."""


class InvalidInput(WancoreError):
    """A request field that cannot be accepted.

    `field` is the name the user knows, `value` what was given, `accepted` one phrase
    that says what would have been taken. `attachment`: the attached family whose inputs or parameters
    are meant, None for the lead's; the engine sets it.
    """

    attachment: str | None = None

    def __init__(self, field: str, value: object, accepted: str) -> None:
        self.field, self.value, self.accepted = field, value, accepted
        super().__init__(f"{field}: got {shown(value)}; accepted: {accepted}")

    def __str__(self) -> str:
        return f"{self.attachment}: {self.args[0]}" if self.attachment else str(self.args[0])


class CheckpointError(WancoreError):
    """A weight file that cannot be used; names the file and, where there is one, the key."""

    def __init__(self, path: Path | str, problem: str, key: str | None = None) -> None:
        self.path, self.problem, self.key = Path(path), problem, key
        super().__init__(f"{path}: {f'key {key!r}: ' if key else ''}{problem}")


class PluginError(WancoreError):
    """A plugin that is missing, disabled, incompatible or broken."""


class Conflict(WancoreError):
    """Two families that claim a resource only one can own."""

    def __init__(self, resource: str, first: str, second: str) -> None:
        self.resource, self.claimants = resource, (first, second)
        super().__init__(f"{first} and {second} cannot be combined: both need {resource}")


class MemoryShortage(WancoreError):
    """Memory of the device that a request does not fit into.

    `needed`, `free`: bytes, None where they are not known; `would_fit`: what would help, as a phrase.
    """

    def __init__(self, needed: int | None, free: int | None, would_fit: str) -> None:
        self.needed, self.free, self.would_fit = needed, free, would_fit
        needs = f"{needed / 1e9:.1f} GB are needed" if needed is not None else "there is too little"
        has = f", {free / 1e9:.1f} GB may be used" if free is not None else ""
        super().__init__(f"GPU memory: {needs}{has}; what would fit: {would_fit}")


def shown(value: object, limit: int = 120) -> str:
    """`repr` of a user's value, cut to a length that fits a message."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
