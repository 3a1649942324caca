"""Where noise comes from, and how it is mixed into a latent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from wancore.errors import InvalidInput
from wancore.sampling.solver import Draw

LARGEST_SEED = 2**63 - 1


class NoiseSource:
    """The noise of one window of one request: standard normal, float32, from a CPU generator.

    `seed`: 0..2^63-1. Windows have streams of their own, so that neither the number of draws in
    another window nor other requests in the batch change what a window gets. Window 0 is the
    stream of `torch.Generator().manual_seed(seed)`. Raises InvalidInput for another seed.
    """

    def __init__(self, seed: int, window: int = 0) -> None:
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED:
            raise InvalidInput("seed", seed, f"a whole number in 0..{LARGEST_SEED}")
        self.generator = torch.Generator(device="cpu").manual_seed(stream_seed(seed, window))

    def draw(self, shape: Sequence[int]) -> Tensor:
        """The next noise of the stream, in the given shape."""
        return torch.randn(tuple(shape), generator=self.generator, dtype=torch.float32)

    def permutation(self, n: int) -> Tensor:
        """The numbers 0 .. n - 1 in random order, from the same stream."""
        return torch.randperm(n, generator=self.generator)


def stream_seed(seed: int, window: int) -> int:
    """The generator seed of one window: `seed` itself for the first, an independent one for the others."""
    if window == 0:
        return seed
    return int(np.random.SeedSequence([seed, window]).generate_state(1, np.uint64)[0]) & LARGEST_SEED


def noise_like(x: Tensor, draw: Draw) -> Tensor:
    """One draw of the shape of `x`, on its device and in its dtype."""
    return draw(x.shape).to(x)


def noised(clean: Tensor, noise: Tensor, sigma: float) -> Tensor:
    """`clean` at noise level `sigma`: (1 - sigma) clean + sigma noise."""
    return (1 - sigma) * clean + sigma * noise
