"""Encoding a clip that stands still after its first frames: what has come to rest is not computed again.

Causal layers look back a fixed number of frames. Once all that a layer sees is alike it gives out what it
gave out before, and so do the layers in front of it, which are the ones at full resolution.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from wancore.vae.history import History
from wancore.vae.layers import CausalConv3d, run


def look_back(layers: Iterable[nn.Module]) -> list[int]:
    """How many pixel frames before its first one each layer of an encoder and those before it look back."""
    found, reach, rate = [], 0, 1
    for layer in layers:
        for conv in layer.modules():
            if isinstance(conv, CausalConv3d):
                reach += conv.past * rate
                rate *= conv.stride[0]
        found.append(reach)
    return found


class Resting:
    """Runs an encoder's layers over the chunks of one clip, whose frames from `still_from` on (1 or more) are
    all alike; None: no frames are. `chunk` comes before each `run`."""

    def __init__(self, still_from: int | None) -> None:
        self.still_from = still_from
        self.start = self.count = self.resting = 0
        self.given: Tensor | None = None  # by the last of the `resting` layers, for the chunk before

    def chunk(self, count: int) -> None:
        """The next chunk has so many pixel frames."""
        self.start += self.count
        if count != self.count:
            self.resting, self.given = 0, None
        self.count = count

    def run(self, layers: Sequence[nn.Module], x: Tensor, history: History) -> Tensor:
        """As `layers.run`; history is that of the chunks before."""
        if self.still_from is None:
            return run(layers, x, history)
        done = self.resting
        if self.given is not None:
            x = self.given
        for number, reach in enumerate(look_back(layers)[done:], done):
            x = layers[number](x, history)
            if self.start - reach >= self.still_from:
                self.resting, self.given = number + 1, x
        return x
