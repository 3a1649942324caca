"""A family attached to the lead's request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wancore.engine.encoders import RequestTools
from wancore.errors import Conflict
from wancore.plugins.conditioning import Conditioning
from wancore.plugins.family import Base, Carry, Family, Lead, Window
from wancore.sampling.noise import NoiseSource

if TYPE_CHECKING:
    from torch import Tensor

    from wancore.engine.models import Models
    from wancore.media.sound import Sound
    from wancore.request import Attachment, Request


class AttachedFamily:
    """One attachment: its own inputs and parameters under the lead's canvas, windows and guidance."""

    def __init__(self, family: Family, use: Attachment, request: Request, models: Models, seed: int) -> None:
        self.family = family
        self.request = request.of(use)
        self.tools = RequestTools(self.request, models, NoiseSource(seed))
        self._prepared: Any = None

    def prepare(self, base: Base, lead: Lead) -> None:
        """Once per request."""
        self._prepared = self.family.prepare(self.request, base, lead, self.tools)
        self.tools.drop_sound()

    def window(self, window: Window, carry: Carry | None) -> tuple[str, Conditioning]:
        """Its name, and what it contributes to a window."""
        return self.family.id, self.family.window(self._prepared, window, carry, self.tools)

    def sound(self) -> Sound | None:
        """What it has to say."""
        return self.family.sound(self._prepared)

    def finish(self, frames: Tensor) -> Tensor:
        """Its change to frames [3, n, H, W] that are about to be sent."""
        return self.family.finish(self._prepared, frames)


def heard(own: Sound | None, attachments: Sequence[AttachedFamily]) -> Sound | None:
    """The lead's sound, else that of the one attachment that has some. Raises `Conflict` for two."""
    others = [(a.family.name, sound) for a in attachments if (sound := a.sound()) is not None]
    if own is not None or not others:
        return own
    if len(others) > 1:
        raise Conflict("the sound of the video", others[0][0], others[1][0])
    return others[0][1]
