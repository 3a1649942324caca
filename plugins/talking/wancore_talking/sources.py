"""The pictures that windows start from."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from wancore.engine.tools import Tools
from wancore.errors import InvalidInput
from wancore.request import Request
from wancore_talking.images import fitted


def source_role(request: Request, roles: tuple[str, ...]) -> str:
    """The one role of `roles` that has a file. Raises `InvalidInput`."""
    given = [role for role in roles if role in request.inputs]
    if not given:
        raise InvalidInput(
            f"inputs.{roles[0]}", None, f"a file; the picture of who talks ({' or '.join(roles)})"
        )
    if len(given) > 1:
        raise InvalidInput(
            f"inputs.{given[1]}", str(request.inputs[given[1]]), f"nothing beside {given[0]}: one of the two"
        )
    return given[0]


def picture_size(role: str, tools: Tools) -> tuple[int, int]:
    """(height, width) of the source."""
    shape = tools.image(role).shape if role == "image" else tools.video(role).frames.shape[1:]
    return int(shape[0]), int(shape[1])


@dataclass
class Pictures:
    """The picture [3, height, width] in [-1, 1] that a window starts from, by the frame that it starts at.

    An image is the same one for all of them. Of a video it is the frame of that number, whatever either
    frame rate, and the last one beyond its end.
    """

    role: str
    size: tuple[int, int]
    tools: Tools
    _made: dict[int, Tensor] = field(default_factory=dict)

    def __getitem__(self, start: int) -> Tensor:
        number = 0 if self.role == "image" else min(start, len(self.tools.video(self.role).frames) - 1)
        if number not in self._made:
            for old in [n for n in self._made if n]:  # the first stays: colours are taken from it
                del self._made[old]
            self._made[number] = fitted(self.source(number), self.size)
        return self._made[number]

    def source(self, number: int) -> Tensor:
        if self.role == "image":
            return self.tools.image(self.role)
        return torch.from_numpy(self.tools.video(self.role).frames[number].copy())
