"""wav2vec 2.0's convolutions over long sound, a stretch at a time.

The first convolution makes 3,200 vectors a second; of ten minutes at once they would take gigabytes. Only
its group norm looks at the whole sound, through a mean and a spread for each channel: those are gathered
first.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

STRETCH = 1500  # features at a time: half a minute


def stretched_features(extractor: Any, waveform: Tensor, stride: int, reach: int) -> Tensor:
    """What `extractor` makes of samples [1, S], up to rounding: [1, C, T]. `stride`, `reach`: samples from
    one feature to the next, and under each."""
    count = (waveform.shape[1] - reach) // stride + 1
    first = extractor.conv_layers[0]
    norm = getattr(first, "layer_norm", None)
    grouped = isinstance(norm, nn.GroupNorm)
    spread = channel_statistics(first.conv, waveform) if grouped else None
    parts = []
    for start in range(0, count, STRETCH):
        stop = min(start + STRETCH, count)
        x = waveform[:, None, start * stride : (stop - 1) * stride + reach]
        if isinstance(norm, nn.GroupNorm) and spread is not None:
            x = first.activation(normed(norm, first.conv(x), *spread))
        for layer in extractor.conv_layers[1 if grouped else 0 :]:
            x = layer(x)
        parts.append(x)
    return torch.cat(parts, dim=2)


def channel_statistics(conv: nn.Conv1d, waveform: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance [C] of what the first convolution makes of all the sound."""
    kernel, stride = conv.kernel_size[0], conv.stride[0]
    count = (waveform.shape[1] - kernel) // stride + 1
    size = STRETCH * 64
    total = square = torch.zeros((), dtype=torch.float64, device=waveform.device)
    for start in range(0, count, size):
        stop = min(start + size, count)
        x = conv(waveform[:, None, start * stride : (stop - 1) * stride + kernel])[0].double()
        total, square = total + x.sum(1), square + x.square().sum(1)
    mean = total / count
    return mean, square / count - mean.square()


def normed(norm: nn.GroupNorm, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """A group norm of one channel a group, with statistics from elsewhere."""
    weight = norm.weight.double() / (variance + norm.eps).sqrt()
    bias = norm.bias.double() - mean * weight
    return torch.addcmul(bias.to(x)[None, :, None], x, weight.to(x)[None, :, None])
