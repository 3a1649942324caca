"""Reading weights: what a file holds, and loading a module from it."""

from wancore.checkpoints.load import load_module
from wancore.checkpoints.view import FileView, open_view

__all__ = ["FileView", "load_module", "open_view"]
