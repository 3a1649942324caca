"""The pictures that windows start from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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


def pictures(role: str, starts: Iterable[int], size: tuple[int, int], tools: Tools) -> Mapping[int, Tensor]:
    """The picture [3, height, width] in [-1, 1] for each window, by the frame that it starts at.

    An image is the same one for all of them. Of a video it is the frame of that number, whatever either
    frame rate, and the last one beyond its end.
    """
    if role == "image":
        return dict.fromkeys(starts, fitted(tools.image(role), size))
    frames = tools.video(role).frames
    return {
        start: fitted(torch.from_numpy(frames[min(start, len(frames) - 1)].copy()), size) for start in starts
    }
