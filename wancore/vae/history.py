"""What a stream remembers between two chunks of frames."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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

    def extend(self, layer: nn.Module, x: Tensor, count: int, dim: int = 2) -> Tensor:
        """`x` with the `count` frames that `layer` saw before it in front along `dim`; zeros at the start.

        Remembers the last `count` frames of the result for the layer's next chunk.
        """
        past = self.slots.get(layer)
        if past is None:
            extended = F.pad(x, (0, 0) * (x.ndim - 1 - dim) + (count, 0))
        else:
            extended = torch.cat([past, x], dim)
        # A copy: a slice would keep the whole chunk alive.
        self.slots[layer] = extended.narrow(dim, extended.shape[dim] - count, count).clone()
        return extended
