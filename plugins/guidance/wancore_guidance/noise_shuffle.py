"""FreeNoise (arXiv:2310.15169): correlated initial noise for overlapping windows."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from wancore.errors import InvalidInput
from wancore.sampling.method import Method, Run
from wancore.sampling.noise import NoiseSource
from wancore_guidance.parameters import NoiseShuffleParameters


def shuffled(noise: Tensor, size: int, overlap: int, permutation: Callable[[int], Tensor]) -> Tensor:
    """noise [C, F, h, w] whose frames after the first `size` repeat earlier ones in random order.

    Each block of size - overlap frames holds the frames of the block `size` frames before it.
    """
    noise = noise.clone()
    frames, block = noise.shape[1], size - overlap
    for start in range(0, frames - size, block):
        place = start + size
        count = min(block, frames - place)
        noise[:, place : place + count] = noise[:, start + permutation(count)]
    return noise


class NoiseShuffle(Method):
    """Acts once, on the clip's frames of the initial noise."""

    def __init__(self, parameters: NoiseShuffleParameters, run: Run) -> None:
        size = parameters.size or (run.windows.size if run.windows is not None else None)
        if size is None:
            raise InvalidInput("methods.freenoise.size", None, "a number of frames, or overlapping windows")
        overlap = parameters.overlap
        if overlap is None:
            overlap = run.windows.overlap if run.windows is not None else 0
        if overlap >= size:
            raise InvalidInput("methods.freenoise.overlap", overlap, f"below the window's size, {size}")
        self.size, self.overlap = size, overlap
        self.clip = slice(run.head, run.head + run.frames)

    def initial_noise(self, noise: Tensor, source: NoiseSource) -> Tensor:
        noise = noise.clone()
        noise[:, self.clip] = shuffled(noise[:, self.clip], self.size, self.overlap, source.permutation)
        return noise
