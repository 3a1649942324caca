"""Reading weights: what a file holds, and loading a module from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wancore.checkpoints.open import open_view
from wancore.checkpoints.view import FileView

if TYPE_CHECKING:
    from wancore.checkpoints.load import load_module

__all__ = ["FileView", "load_module", "open_view"]


def __getattr__(name: str) -> Any:
    if name == "load_module":  # imports torch, which looking at headers does not need
        from wancore.checkpoints.load import load_module

        return load_module
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
