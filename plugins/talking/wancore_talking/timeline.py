"""The windows of a video of any length (MeiGen-AI/InfiniteTalk and MultiTalk, `wan/multitalk.py`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from wancore.plugins.family import Window

#: Frames of the video, given the speakers' frames, where the sound ran out before the last window did.
Ending = Callable[[Sequence[int]], int]


@dataclass(frozen=True)
class Timeline:
    """`frames` of the whole video, in `windows`.

    `turned`: the number of the window in which the sound runs back from its end; None: in no window.
    """

    frames: int
    windows: tuple[Window, ...]
    turned: int | None = None


@dataclass(frozen=True)
class Pace:
    """`window` frames at a time, of which `motion` are the last of the window before; all 4n + 1.

    `short_last`: the last window is no longer than it must be.
    """

    window: int
    motion: int
    short_last: bool = False


def timeline(lengths: Sequence[int], limit: int, pace: Pace, ending: Ending) -> Timeline:
    """Windows until the first speaker's sound (`lengths` of each, in frames) or `limit` frames are over.

    With sound for one window only there is one, whatever `ending` says.
    """
    wanted = min(limit, lengths[0])
    if wanted <= pace.window:
        return Timeline(wanted, cut([Window(0, 0, pace.window)], wanted))
    windows = [Window(0, 0, pace.window, last=False, carried=pace.motion)]
    while windows[-1].start + pace.window < wanted:
        start = windows[-1].start + pace.window - pace.motion
        windows.append(replace(windows[-1], index=len(windows), start=start, known=pace.motion))
    end = windows[-1].start + pace.window
    ran_out = any(end >= length for length in lengths)
    total = min(limit, end, ending(lengths)) if ran_out else min(limit, end)
    if pace.short_last:
        last = windows[-1]
        windows[-1] = replace(last, frames=min(pace.window, whole(max(total - last.start, pace.motion + 4))))
    kept = cut(windows, total)
    return Timeline(total, kept, windows[-1].index if ran_out else None)


def cut(windows: Sequence[Window], total: int) -> tuple[Window, ...]:
    """The windows that bring frames before `total`; what they have beyond it is not sent."""
    kept = [w for w in windows if w.start + w.known < total]
    spare = (max(0, w.start + w.frames - total) for w in kept)
    return tuple(replace(w, spare=n, last=w is kept[-1]) for w, n in zip(kept, spare, strict=True))


def whole(frames: int) -> int:
    """The next 4n + 1."""
    return (frames + 2) // 4 * 4 + 1
