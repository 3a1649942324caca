"""A role for one file, `role`, or for several of a kind, `role[0]`, `role[1]`, …"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wancore.errors import InvalidInput
from wancore.plugins.inputs import InputSpec, InputType


@dataclass(frozen=True)
class Several:
    """One to `most` files of a `type`; `noun`, in the plural: what they are called in help texts."""

    role: str
    type: InputType
    noun: str
    most: int

    @property
    def specs(self) -> tuple[InputSpec, InputSpec]:
        """The declaration of both ways of naming, for `Family.inputs`."""
        return (
            InputSpec(self.role, self.type, f"the only one of the {self.noun}"),
            InputSpec(self.role, self.type, f"the {self.noun}, 1 to {self.most}", many=True),
        )

    def given(self, inputs: Mapping[str, Any]) -> list[str]:
        """The names that `inputs` has of this role, in the order of their numbers.

        Raises `InvalidInput` where there is none, where one stands beside numbered ones, and for too many.
        """
        field = f"inputs.{self.role}"
        single, numbered = self.role in inputs, self.numbered(inputs)
        if not single and not numbered:
            kind = self.type.value
            file = f"{'an' if kind[0] in 'aeiou' else 'a'} {kind} file"
            accepted = f"{file}, or {self.role}[0] to {self.role}[{self.most - 1}]"
            raise InvalidInput(field, None, accepted)
        if single and numbered:
            accepted = f"nothing beside {self.role}[0], {self.role}[1], …"
            raise InvalidInput(field, str(inputs[self.role]), accepted)
        if len(numbered) > self.most:
            raise InvalidInput(field, f"{len(numbered)} {self.noun}", f"at most {self.most}")
        return [self.role] if single else [name for _, name in sorted(numbered)]

    def numbered(self, inputs: Mapping[str, Any]) -> list[tuple[int, str]]:
        pattern = re.compile(rf"{re.escape(self.role)}\[(\d+)\]")
        return [(int(found[1]), name) for name in inputs if (found := pattern.fullmatch(name))]
