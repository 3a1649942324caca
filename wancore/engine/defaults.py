"""The settings' defaults for what a request leaves open."""

from __future__ import annotations

from typing import Any

from wancore.request import Request, Size
from wancore.runtime.settings import Settings


def with_defaults(request: Request, settings: Settings) -> Request:
    """The request with the model, size, length, rate and steps of `settings`, where it is silent."""
    defaults: dict[str, Any] = {"model": settings.model, "frames": settings.frames, "fps": settings.fps}
    if settings.width is not None and settings.height is not None:
        defaults["size"] = Size(width=settings.width, height=settings.height)
    if request.sigmas is None:
        defaults["steps"] = settings.steps
    silent = {name: value for name, value in defaults.items() if getattr(request, name) is None}
    return request.model_copy(update=silent)
