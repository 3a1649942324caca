"""The speakers' sound on one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

AudioType = Literal["para", "add"]


@dataclass(frozen=True)
class Tracks:
    """`speech`: of each speaker [S], all of one length. `rate`: samples per second."""

    speech: tuple[Tensor, ...]
    rate: int

    @property
    def mix(self) -> Tensor:
        """What is heard, [S]; of one speaker their own sound."""
        return self.speech[0] if len(self.speech) == 1 else torch.stack(self.speech).sum(0)

    @property
    def seconds(self) -> float:
        return len(self.speech[0]) / self.rate

    def frames(self, fps: float) -> int:
        """Video frames that the sound lasts."""
        return int(self.seconds * fps)

    def lasting(self, samples: int) -> Tracks:
        """Cut, or followed by silence."""
        return Tracks(
            tuple(F.pad(s[:samples], (0, max(0, samples - len(s)))) for s in self.speech), self.rate
        )


class Mix:
    """What is heard with the video [S]; given away once, since nothing reads an hour of sound again."""

    def __init__(self, samples: Tensor | None = None) -> None:
        self._samples = samples

    def taken(self) -> Tensor | None:
        """None: nothing is heard, or it was taken."""
        samples, self._samples = self._samples, None
        return samples


def arranged(speech: Sequence[Tensor], order: AudioType, rate: int) -> Tracks:
    """`para`: all speak at once, shorter ones followed by silence. `add`: one after the other."""
    if order == "para":
        longest = max(len(s) for s in speech)
        return Tracks(tuple(F.pad(s, (0, longest - len(s))) for s in speech), rate)
    total, start, tracks = sum(len(s) for s in speech), 0, []
    for s in speech:
        tracks.append(F.pad(s, (start, total - start - len(s))))
        start += len(s)
    return Tracks(tuple(tracks), rate)
