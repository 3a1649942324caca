"""MultiTalk (MeiGen-AI/MultiTalk, arXiv:2505.22647)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wancore_talking.family import AUDIO, IMAGE, Start, TalkingFamily

from wancore.plugins.family import Carry, Window

if TYPE_CHECKING:
    from wancore_talking.prepare import Prepared

    from wancore.engine.tools import Tools

TRIMMED = 3  # frames that upstream leaves out where the sound ran out


class MultiTalk(TalkingFamily):
    """A window reads the frames before as its known frames, and meets them noised to its own level."""

    id = "multitalk"
    name = "MultiTalk"
    help = "conversational video from an image and the voices of one or two people"
    inputs = (IMAGE, *AUDIO)
    sources = ("image",)
    words = ("multitalk",)
    others = ("infinitetalk",)
    motion = 25

    def ending(self, lengths: Sequence[int]) -> int:
        """Three frames before the sound of the first speaker."""
        return lengths[0] - TRIMMED

    def continued(self, prepared: Prepared, window: Window, carry: Carry | None, tools: Tools) -> Start:
        from wancore_talking.stills import still

        from wancore.sampling.clamp import RenoiseFrames

        if carry is None:
            made = prepared.stills.of(prepared.pictures[window.start], window.frames)
            return Start(made, () if prepared.reads_image else (RenoiseFrames(made.latent[:, :1]),))
        made = still(carry.frames[:, -prepared.motion :], window.frames, tools, prepared.reads_image)
        known = made.latent[:, : 1 + (prepared.motion - 1) // 4]
        return Start(made, (RenoiseFrames(known),))
