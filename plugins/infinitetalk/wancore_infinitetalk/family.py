"""InfiniteTalk (MeiGen-AI/InfiniteTalk, arXiv:2508.14033)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wancore_talking.family import AUDIO, IMAGE, VIDEO, Start, TalkingFamily

from wancore.plugins.family import Carry, Window

if TYPE_CHECKING:
    from wancore_talking.prepare import Prepared

    from wancore.engine.tools import Tools


class InfiniteTalk(TalkingFamily):
    """Every window reads its source picture; clean latents of the frames before hold its beginning."""

    id = "infinitetalk"
    name = "InfiniteTalk"
    help = "talking video of any length from an image or a video and the speech of one or two people"
    inputs = (IMAGE, VIDEO, *AUDIO)
    sources = ("image", "video")
    words = ("infinitetalk", "infinite")
    others = ("multitalk",)
    motion = 9

    def ending(self, lengths: Sequence[int]) -> int:
        """With the sound of the last speaker."""
        return lengths[-1]

    def continued(self, prepared: Prepared, window: Window, carry: Carry | None, tools: Tools) -> Start:
        from wancore.sampling.clamp import KeepFrames

        still = prepared.stills.of(prepared.pictures[window.start], window.frames)
        if carry is None:
            known = still.latent[:, :1]
        else:
            known = tools.vae.encode(carry.frames[:, -prepared.motion :].to(tools.device))
        return Start(still, (KeepFrames(known),))
