"""A family attached to the lead's request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wancore.checkpoints.open import open_view
from wancore.checkpoints.prefix import peel_prefix
from wancore.engine.encoders import RequestTools
from wancore.errors import InvalidInput
from wancore.plugins.family import Base, Carry, Conditioning, Family, Lead, Window
from wancore.sampling.noise import NoiseSource

if TYPE_CHECKING:
    from wancore.engine.models import Models
    from wancore.request import Attachment, Request
    from wancore.transformer.adapter import Adapter


class AttachedFamily:
    """One attachment: its own inputs and parameters under the lead's canvas, windows and guidance."""

    def __init__(self, family: Family, use: Attachment, request: Request, models: Models, seed: int) -> None:
        self.family, self.use = family, use
        fields = {"inputs": use.inputs, "params": use.params, "family": family.id}
        self.request = request.model_copy(update=fields)
        self.tools = RequestTools(self.request, models, NoiseSource(seed))
        self.adapter: Adapter | None = None
        self._prepared: Any = None

    def prepare(self, base: Base, lead: Lead) -> None:
        """Once per request."""
        files = [peel_prefix(open_view(self.use.file)).view] if self.use.file else []
        self.adapter = self.family.adapter(base, files)
        if self.adapter is None and files:
            raise InvalidInput(
                "attachments.file", str(self.use.file), f"nothing; {self.family.name} has no weights"
            )
        self._prepared = self.family.prepare(self.request, base, lead, self.tools)

    def window(self, window: Window, carry: Carry | None) -> tuple[str, Conditioning]:
        """Its name, and what it contributes to a window."""
        return self.family.id, self.family.window(self._prepared, window, carry, self.tools)
