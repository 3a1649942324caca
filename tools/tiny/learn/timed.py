"""The loop of trainings that last for a time: the VAE's and its decoder's."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from torch import Tensor

from tools.tiny.learn.master import Master, rate_at

#: At a point of the training, 0..1: leaves the gradients of a batch; its mean squared error [], and what to
#: say of it beside that.
Batch = Callable[[float], tuple[Tensor, str]]


def train(
    name: str, seconds: float, began: float, master: Master, batch: Batch, say: Callable[[str], None],
    smooth: float,
) -> None:  # fmt: skip
    """Steps until `seconds` after `began`; every 20 seconds says the error, from `smooth` on, in dB."""
    told, steps = 0.0, 0
    while (progress := (time.monotonic() - began) / seconds) < 1:
        squared, note = batch(progress)
        master.set_rate(rate_at(progress, steps))
        master.step()
        if steps % 20 == 0:
            smooth = smooth * 0.9 + float(squared.detach()) * 0.1
        if steps % 20 == 0 and time.monotonic() - told > 20:
            told = time.monotonic()
            say(f"{name} {told - began:5.0f} s, step {steps}{note}: {10 * math.log10(4 / smooth):.2f} dB")
        steps += 1
    say(f"{name}: {steps} steps")
