"""A denoising that methods may ask to repeat from reinitialised noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from torch import Tensor

from wancore.sampling.loop import Stepped
from wancore.sampling.method import Method
from wancore.sampling.noise import NoiseSource


def rounds_of(methods: Sequence[Method]) -> int:
    """How often the whole denoising is run."""
    return max((m.rounds for m in methods), default=1)


def in_rounds(
    noise: Tensor,
    run: Callable[[Tensor], Iterator[Stepped]],
    methods: Sequence[Method],
    source: NoiseSource,
) -> Iterator[Stepped]:
    """Every step of every round. `run(start)` is one denoising from `start`, with a fresh solver.

    Step numbers begin at 0 in each round; the last latent of the last round is the result.
    """
    start = noise
    for round_ in range(rounds_of(methods)):
        for method in methods:
            method.begin()
        x = start
        for stepped in run(start):
            x = stepped.x
            yield stepped
        for method in methods:
            if method.rounds > round_ + 1:
                start = method.restart(x, noise, source)
