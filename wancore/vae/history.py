"""What a stream remembers between two chunks of frames."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wancore.kernels import vae as ops


class History:
    """The last input frames of every causal layer of one stream.

    `first`: no chunk has gone through yet; `size`: height and width of the frames that come in.
    The network itself holds nothing, so several streams can run on one network at a time.
    What it holds does not grow with the number of frames. Original semantics: the `feat_cache` list of
    Wan-Video/Wan2.1 `wan/modules/vae.py`, whose missing frames count as zeros.
    """

    def __init__(self) -> None:
        self.first = True
        self.size = (0, 0)
        self.slots: dict[nn.Module, Tensor] = {}

    def extend(self, layer: nn.Module, x: Tensor, count: int, gamma: Tensor | None = None) -> Tensor:
        """`x` [B, C, T, H, W] behind the `count` frames that `layer` saw before it; zeros at the start.

        With `gamma`, x is first normalised with this gain and goes through SiLU. Remembers the last
        `count` frames of the result for the layer's next chunk.
        """
        frames, self.slots[layer] = ops.extend(x, self.slots.get(layer), count, gamma)
        return frames

    def previous(self, layer: nn.Module, x: Tensor) -> Tensor:
        """The frame that `layer` saw before each of `x` [T, C, H, W]; zeros before the first of all."""
        before = self.slots.get(layer, x.new_zeros(1, *x.shape[1:]))
        self.slots[layer] = x[-1:].clone()
        return torch.cat([before, x[:-1]])
