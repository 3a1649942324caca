"""Where the files of a request's model are; without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wancore.checkpoints.layout import find_parts
from wancore.checkpoints.models_tree import find_model, find_part
from wancore.checkpoints.parts import Parts
from wancore.embedded import embedded_for, embedded_models, embedded_parts
from wancore.plugins import PluginManager
from wancore.request import Request
from wancore.runtime.settings import Settings


@dataclass(frozen=True)
class ModelFiles:
    """Finds what a request and the settings name."""

    settings: Settings
    plugins: PluginManager

    def locate(self, name: str) -> Path:
        """A file or folder by its path, or by its name under the models folder."""
        path = Path(name)
        if not path.exists() and self.settings.models is not None:
            return find_model(self.settings.models, name)
        return path

    def parts(self, request: Request) -> Parts:
        """The parts of the model that `request` names, of the default model, or of one that comes along.

        Raises `CheckpointError` or `InvalidInput` for what is not there.
        """
        name = request.model or self.settings.model
        if name is None:
            parts = embedded_parts(embedded_for(self.plugins, request.family))
        else:
            path = self.locate(name)
            embedded = [m for m in embedded_models(self.plugins) if m.folder == path]
            parts = embedded_parts(*embedded) if embedded else find_parts(path, self.settings.models)
        for part, chosen in self.settings.chosen_parts.items():
            parts = parts.given(part, find_part(self.settings.models, part, chosen))
        return parts
