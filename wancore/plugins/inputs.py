"""Declared inputs and parameters: the one source of validation, help and introspection."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from wancore.errors import InvalidInput

P = TypeVar("P", bound=BaseModel)


class InputType(Enum):
    """What an input file holds."""

    IMAGE = "image"
    VIDEO = "video"
    MASK = "mask"
    AUDIO = "audio"
    CAMERA_PATH = "camera path"
    TRACKS = "tracks"
    BOXES = "boxes"


class ParameterModel(BaseModel):
    """What parameters are declared in: a name that is not a field is refused. As it stands, it has none."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class OwnType:
    """A type of file that a plugin brings.

    `name`: in words, as users see it; `accepted`: what a good file is, one phrase. `read(path)`: what it
    holds; raises `ValueError` saying what is wrong with it. Files are read once before anything is
    loaded, so that a bad one is refused early.
    """

    name: str
    accepted: str
    read: Callable[[Path], Any]

    def open(self, path: Path, field: str) -> Any:
        """What the file given for `field` holds. Raises `InvalidInput`."""
        try:
            return self.read(path)
        except (OSError, ValueError) as error:
            raise InvalidInput(field, str(path), f"{self.accepted}; {error}") from error


@dataclass(frozen=True)
class InputSpec:
    """One role that a file can have in a request.

    `type`: one of wancore's, or the plugin's own. `many`: the family takes several, named `role[0]`,
    `role[1]`, …; roles may be dotted (`context[0].video`). `live`: it may also arrive while the
    request runs (`wancore.live`).
    """

    role: str
    type: InputType | OwnType
    help: str
    required: bool = False
    many: bool = False
    live: bool = False

    @property
    def type_name(self) -> str:
        """The type in words."""
        kind = self.type
        return kind.name if isinstance(kind, OwnType) else kind.value

    @property
    def usage(self) -> str:
        """How a request names it: `role`, or `role[0]` where there can be several."""
        if not self.many:
            return self.role
        head, dot, rest = self.role.partition(".")
        return f"{head}[0]{dot}{rest}"

    def matches(self, name: str) -> bool:
        pattern = re.escape(self.role)
        if self.many:
            head, dot, rest = self.role.partition(".")
            pattern = rf"{re.escape(head)}\[\d+\]{re.escape(dot + rest)}"
        return re.fullmatch(pattern, name) is not None


def check_roles(specs: Sequence[InputSpec], given: Mapping[str, Any], family: str) -> None:
    """Raises `InvalidInput` for an unknown role or a missing required one."""
    for name, value in given.items():
        if not any(spec.matches(name) for spec in specs):
            raise InvalidInput(f"inputs.{name}", str(value), known_roles(name, specs, family))
    for spec in specs:
        if spec.required and not any(spec.matches(name) for name in given):
            raise InvalidInput(f"inputs.{spec.usage}", None, f"{spec.type_name} file ({spec.help})")


def known_roles(name: str, specs: Sequence[InputSpec], family: str) -> str:
    """What is taken in place of the role `name`, the nearest first."""
    near = get_close_matches(name, [spec.role for spec in specs], n=1)
    meant = [spec.usage for spec in specs if spec.role in near]
    start = f"{' or '.join(meant)}, or another of " if meant else ""
    return f"{start}the inputs of {family}: {', '.join(spec.usage for spec in specs) or 'none'}"


def check_own_types(specs: Sequence[InputSpec], given: Mapping[str, Path]) -> None:
    """Reads the files of types that the family's plugin brings. Raises `InvalidInput`."""
    for name, path in given.items():
        spec = next((spec for spec in specs if spec.matches(name)), None)
        if spec is not None and isinstance(spec.type, OwnType):
            spec.type.open(path, f"inputs.{name}")


def parse_parameters(model: type[P], given: Mapping[str, Any], field: str = "params") -> P:
    """The parameters with their defaults filled in. Raises `InvalidInput` naming the first bad one."""
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise first_problem(error, field, known=", ".join(model.model_fields)) from error


#: What pydantic puts into a place for the choices of a union; no field has such a name.
UNION_CHOICE = re.compile(
    r"(literal|tuple|list|dict|function-[a-z]+)\[.*|constrained-[a-z]+|int|float|str|bool"
)


def first_problem(error: ValidationError, field: str, known: str) -> InvalidInput:
    """The first problem pydantic found, in our words; where several types would do, what each accepts."""
    problems = [(place(problem["loc"]), problem) for problem in error.errors()]
    first, problem = problems[0]
    name = ".".join([field, *first] if field else first)
    if problem["type"] == "extra_forbidden":
        return InvalidInput(name, problem["input"], f"one of: {known or 'none'}")
    if problem["type"] == "missing":
        return InvalidInput(name, None, "a value: it is required and has no default")
    same = [other["msg"] for where, other in problems if where == first]
    texts = [in_words(text) for text in same]
    return InvalidInput(name, problem["input"], ", or ".join(dict.fromkeys(texts)))


def in_words(message: str) -> str:
    """pydantic's sentence as the end of ours: `accepted: …`."""
    text = message.removeprefix("Value error, ").removeprefix("Input should be ").partition(", unable to")[0]
    text = re.sub(r"^\w+ should have (at (?:least|most) \d+ items?) after validation, .*", r"\1", text)
    plain = text.replace("a valid tuple", "a list").replace("a valid ", "a ")
    return plain.replace("a integer", "an integer")


def place(location: Sequence[int | str]) -> list[str]:
    """Where in the fields a problem is."""
    return [str(part) for part in location if isinstance(part, int) or not UNION_CHOICE.fullmatch(part)]
