"""Convolutions as each device computes them best; the results are the same.

On a GPU in half precision they run on tensor cores, channels last, which take whole groups of eight channels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wancore.kernels import vae as ops

GROUP = 8  # channels that tensor cores take at once


def convolve(conv: nn.Conv3d, x: Tensor, add: Tensor | None = None) -> Tensor:
    """`conv` of `x` [B, C, T, H, W], plus `add` of the result's shape."""
    if ops.conv_fits(x, conv.weight):
        return ops.causal_conv(x, conv.weight, conv.bias, add)
    if on_tensor_cores(x):
        return whole_groups(conv, x, add)
    y = (
        one_dnn(conv, x)
        if one_dnn_takes(x)
        else F.conv3d(x, conv.weight, conv.bias, conv.stride, conv.padding)
    )
    if add is None:
        return y
    return y + add if torch.is_grad_enabled() else y.add_(add)


def one_dnn(conv: nn.Conv3d, x: Tensor) -> Tensor:
    """`conv` of `x` by oneDNN. PyTorch asks it for large pictures only; for small ones it is several times
    faster too, and one way for all sizes computes a chunk's frames as those of the whole video.
    """
    assert not isinstance(conv.padding, str)
    y: Tensor = torch.mkldnn_convolution(
        x, conv.weight, conv.bias, conv.padding, conv.stride, conv.dilation, conv.groups
    )
    return y


def pictures(conv: nn.Conv3d, x: Tensor) -> Tensor:
    """As `convolve`, where the result is what leaves: float32 and channels first if a kernel computes it."""
    if ops.planes_fit(x, conv.weight):
        return ops.causal_conv_planes(x, conv.weight, conv.bias)
    return convolve(conv, x)


def whole_groups(conv: nn.Conv3d, x: Tensor, add: Tensor | None = None) -> Tensor:
    """As `convolve`, with channels of zeros where whole groups of eight are missing."""
    outputs, inputs = conv.weight.shape[:2]
    missing, more = -inputs % GROUP, -outputs % GROUP
    weight = conv.weight
    if missing:
        x = F.pad(x, (0, 0, 0, 0, 0, 0, 0, missing))
    if missing or more:
        weight = F.pad(weight, (0, 0, 0, 0, 0, 0, 0, missing, 0, more))
    x = x.contiguous(memory_format=torch.channels_last_3d)
    weight = weight.contiguous(memory_format=torch.channels_last_3d)
    y = F.conv3d(x, weight, None, conv.stride, conv.padding)[:, :outputs]
    assert conv.bias is not None
    return ops.add_bias(y, conv.bias, add)


def pointwise(conv: nn.Module, x: Tensor) -> Tensor:
    """A 1x1x1 convolution of `x` [B, C, T, H, W]; anything else as it is."""
    if not isinstance(conv, nn.Conv3d) or not on_tensor_cores(x):
        y: Tensor = conv(x)
        return y
    rows = x.movedim(1, -1)  # a view, channels last
    return F.linear(rows, conv.weight.flatten(1), conv.bias).movedim(-1, 1)


def halve(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """3x3 convolution of stride 2 of `x` [N, C, H, W], one row and column of zeros at the end only."""
    if not on_tensor_cores(x):
        return conv(F.pad(x, (0, 1, 0, 1)))
    # A leading row and column of zero weights make the padding symmetric, which spares a padded copy.
    weight = F.pad(conv.weight, (1, 0, 1, 0)).contiguous(memory_format=torch.channels_last)
    return F.conv2d(x, weight, conv.bias, stride=2, padding=1)


def on_tensor_cores(x: Tensor) -> bool:
    return x.device.type == "cuda" and x.dtype in (torch.bfloat16, torch.float16)


def one_dnn_takes(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.dtype == torch.float32 and torch.backends.mkldnn.is_available()
