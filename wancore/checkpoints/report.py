"""What `inspect` reports: plain facts, for a table or for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wancore.checkpoints.claim import Claim
from wancore.checkpoints.components import ComponentClaim
from wancore.checkpoints.known import KnownFamilies
from wancore.checkpoints.layer_formats import FoundFormat
from wancore.lora.facts import LoraFacts


@dataclass(frozen=True)
class DtypeShare:
    """How much of a file is stored in one dtype."""

    dtype: str
    tensors: int
    bytes: int


@dataclass(frozen=True)
class KeyList:
    """Many names: how many, and the first few."""

    count: int = 0
    first: tuple[str, ...] = ()

    @classmethod
    def of(cls, names: Sequence[str]) -> KeyList:
        return cls(len(names), tuple(names[:5]))


@dataclass(frozen=True)
class Contents:
    """What the headers of one checkpoint hold.

    `sizes`: of its base transformer, {} without one. `missing`: names the base lacks; `unexpected`:
    names that belong neither to it nor to a recognised family.
    """

    files: int
    bytes: int
    tensors: int
    parameters: int
    dtypes: tuple[DtypeShare, ...]
    formats: tuple[FoundFormat, ...]
    prefix: str
    naming: str
    sizes: Mapping[str, object]
    missing: KeyList = KeyList()
    unexpected: KeyList = KeyList()


@dataclass(frozen=True)
class Identity:
    """Whose file it is. `family` is the decision, None with the reason in `undecided`."""

    family: Claim | None
    undecided: str
    claims: tuple[Claim, ...]
    components: tuple[ComponentClaim, ...]
    known: KnownFamilies


@dataclass(frozen=True)
class Report:
    """`what` in one phrase; `problems` say why it cannot be loaded; `needs` what has to be given beside it.

    `container` is the kind of file, or "folder" for a folder of several models, whose `parts` are
    reported one by one. `lora`: what such a file changes.
    """

    path: Path
    what: str
    container: str
    problems: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    contents: Contents | None = None
    identity: Identity | None = None
    lora: LoraFacts | None = None
    parts: Mapping[str, Report] | None = None

    def as_json(self) -> dict[str, Any]:
        """The same in types that JSON has."""
        return json_types(asdict(self))


def json_types(value: Any) -> Any:
    match value:
        case dict():
            return {key: json_types(inner) for key, inner in value.items()}
        case list() | tuple():
            return [json_types(inner) for inner in value]
        case Path():
            return str(value)
        case _:
            return value
