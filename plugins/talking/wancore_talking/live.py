"""Speech that is still being spoken: windows as soon as their sound is there.

Offline the speech encoder hears the whole recording; here it hears what was said up to the window, so the
same sound gives another, equally good video.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from wancore.engine.tools import Tools
from wancore.live import Live
from wancore.media.audio import SPEECH_RATE
from wancore.plugins.family import Window
from wancore_talking.adapter import Speech
from wancore_talking.features import REACH, speech_features
from wancore_talking.loudness import SHORTEST, gain
from wancore_talking.timeline import Pace, whole

CONTEXT = 6  # seconds of speech that are heard before a window
LOUDEST_GAIN = 10.0  # 20 dB: more would make breath into speech


def sample_at(frame: int, fps: Fraction) -> int:
    """The first sample of a video frame."""
    return round(frame * SPEECH_RATE / fps)


@dataclass(frozen=True)
class LiveTimeline:
    """Windows of sound that arrives under `roles`, until all of it has ended or `limit` frames are made.

    `frames` and `turned` are those of a `Timeline` that is not known yet.
    """

    live: Live
    roles: tuple[str, ...]
    fps: Fraction
    pace: Pace
    limit: int | None = None
    frames: int = 0
    turned: int | None = None

    @property
    def windows(self) -> Iterator[Window]:
        """Waits until the sound of each window is there, and of the frames after it that are heard too."""
        index, start, known = 0, 0, 0
        while True:
            stop = start + self.pace.window
            total = self.total(stop)
            if total is not None and total <= start + known:
                return
            if total is not None and total <= stop:
                yield self.last(index, start, known, total)
                return
            yield Window(index, start, self.pace.window, known, last=False, carried=self.pace.motion)
            index, start, known = index + 1, stop - self.pace.motion, self.pace.motion
            for role in self.roles:
                self.live.forget(role, sample_at(start, self.fps) - CONTEXT * SPEECH_RATE)

    def total(self, stop: int) -> int | None:
        """Waits for the sound of a window up to frame `stop`; frames of the video, None if it goes on."""
        ends_here = self.limit is not None and self.limit <= stop
        wanted = sample_at(self.limit or 0 if ends_here else stop + REACH, self.fps)
        lengths = [self.live.await_sound(role, wanted) for role in self.roles]
        ended = [length for length in lengths if length is not None]
        if len(ended) < len(lengths):
            return self.limit if ends_here else None
        frames = int(max(ended) * self.fps / SPEECH_RATE)
        return frames if self.limit is None else min(frames, self.limit)

    def last(self, index: int, start: int, known: int, total: int) -> Window:
        frames = self.pace.window
        if self.pace.short_last:
            frames = min(frames, whole(max(total - start, known + 4)))
        return Window(index, start, frames, known, last=True, spare=max(0, start + frames - total))


@dataclass(frozen=True)
class LiveVoices:
    """As `Voices`. `roles`: of each speaker; None: one who is silent."""

    tools: Tools
    roles: tuple[str | None, ...]
    fps: Fraction
    masks: Tensor | None
    strength: float = 1.0

    def speech(self, window: Window) -> Speech:
        heard = torch.stack([self.heard(role, window) for role in self.roles])
        return Speech(heard, self.masks, self.strength)

    def heard(self, role: str | None, window: Window) -> Tensor:
        """Features around the window's frames, of all that was said from a while before it."""
        first = max(0, window.start - round(CONTEXT * self.fps))
        stop = window.start + window.frames + REACH
        begin, end = sample_at(first, self.fps), sample_at(stop, self.fps)
        samples = np.zeros(end - begin, np.float32)
        if role is not None:
            spoken = self.tools.live.read(role, begin, end)
            samples[: len(spoken)] = spoken * loudness_gain(spoken)
        dtype = torch.float32 if self.tools.device.type == "cpu" else torch.bfloat16
        levels = self.tools.speech(torch.from_numpy(samples), stop - first)
        return speech_features(levels.to(dtype)).window(window.start - first, window.frames)


def loudness_gain(spoken: np.ndarray) -> float:
    """To the loudness that the model knows; silence and scraps of sound stay as they are."""
    if len(spoken) < SHORTEST * SPEECH_RATE:
        return 1.0
    return min(gain(torch.from_numpy(spoken), SPEECH_RATE), LOUDEST_GAIN)
