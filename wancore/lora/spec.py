"""Which LoRA a user asks for, how strongly, and where it acts."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from wancore.errors import InvalidInput

MAX_STRENGTH = 1000.0
ACCEPTED = "NAME, NAME:STRENGTH, or NAME:strength=0.8,expert=high,blocks=0-9;12,layers=self_attn,drop=ffn"
OPTIONS = ("strength", "expert", "blocks", "layers", "drop", "dora", "partial")


def as_tuple(value: object) -> object:
    """One value as a tuple of it."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)


class LoraSpec(BaseModel):
    """One adapter of a request; order matters only for DoRA.

    `name`: a file or folder, or a name below `loras/` in the models folder. `strength`: one value, or one
    for each step (the last one holds for all later steps); -1000 to 1000, 0 leaves the model as it is.
    `expert`: of a model with two, the only one it acts on. `blocks`: the only blocks it acts in, all if
    empty; parameters outside the blocks are not concerned. `layers`: the only parameters it acts on, by a
    part of their names; `drop`: those that it does not act on. `dora`: how `dora_scale` is meant, as in
    training (norm of W + delta) or as ComfyUI computes it (norm of W). `partial`: leave out keys that the
    model has no place for, and say so, instead of refusing the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    strength: Annotated[tuple[float, ...], BeforeValidator(as_tuple)] = Field(default=(1.0,), min_length=1)
    expert: str | None = None
    blocks: frozenset[Annotated[int, Field(ge=0)]] = frozenset()
    layers: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    dora: Literal["trained", "comfyui"] = "trained"
    partial: bool = False

    @field_validator("strength")
    @classmethod
    def in_range(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if not all(math.isfinite(v) and abs(v) <= MAX_STRENGTH for v in values):
            raise ValueError(f"numbers from -{MAX_STRENGTH:g} to {MAX_STRENGTH:g}")
        return values

    @property
    def constant(self) -> bool:
        """Whether the strength is the same at every step."""
        return len(set(self.strength)) == 1

    def strength_at(self, step: int) -> float:
        return self.strength[min(step, len(self.strength) - 1)]

    def covers(self, parameter: str) -> bool:
        """Whether the filters let it act on a parameter, by canonical name."""
        block = re.search(r"(?:^|[._])blocks\.(\d+)\.", parameter)
        if self.blocks and block is not None and int(block[1]) not in self.blocks:
            return False
        if self.layers and not any(part in parameter for part in self.layers):
            return False
        return not any(part in parameter for part in self.drop)


def parse_lora(text: str) -> dict[str, Any]:
    """The fields of a `LoraSpec` from `NAME[:STRENGTH]` or `NAME:option=value,…`; lists are `a;b;c`,
    blocks may be ranges `0-9`. Names may hold colons. Raises `InvalidInput`."""
    name, colon, rest = text.rpartition(":")
    if not colon or not (number(rest) or "=" in rest):
        return {"name": checked_name(text, text)}
    fields: dict[str, Any] = {"name": checked_name(name, text)}
    if number(rest):
        return {**fields, "strength": float(rest)}
    for part in re.split(r",(?=[\w-]+=)", rest):
        option, equals, value = part.partition("=")
        if option not in OPTIONS or not equals or not value or option in fields:
            raise InvalidInput("lora", text, ACCEPTED)
        fields[option] = option_value(option, value, text)
    return fields


def checked_name(name: str, text: str) -> str:
    if not name:
        raise InvalidInput("lora", text, ACCEPTED)
    return name


def option_value(option: str, value: str, text: str) -> Any:
    items = value.strip("[]").split(";")
    match option:
        case "strength":
            if not all(number(item) for item in items):
                raise InvalidInput("lora", text, "strength=NUMBER, or one for each step: strength=1;0.5;0")
            return [float(item) for item in items]
        case "blocks":
            return [block for item in items for block in block_range(item, text)]
        case "layers" | "drop":
            return items
        case _:
            return value


def block_range(item: str, text: str) -> range:
    """`7` or `0-9`, both ends included."""
    match = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", item.strip())
    if match is None or int(match[2] or match[1]) < int(match[1]):
        raise InvalidInput("lora", text, "blocks=0-9;12")
    return range(int(match[1]), int(match[2] or match[1]) + 1)


def number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
