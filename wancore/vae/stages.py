"""The stages of Wan 2.2: layers in sequence and a shortcut without parameters around them.

Tensors are [B, C, T, H, W]. Source: Wan-Video/Wan2.2 `wan/modules/vae2_2.py`.
"""

from __future__ import annotations

import torch.nn.functional as F
from einops import rearrange, reduce
from torch import Tensor, nn

from wancore.vae.architecture import Stage
from wancore.vae.history import History
from wancore.vae.layers import run


class DownStage(nn.Module):
    """layers(x) + average of x over blocks of time, height, width and channels."""

    def __init__(self, spec: Stage, layers: list[nn.Module]) -> None:
        super().__init__()
        self.spec = spec
        self.downsamples = nn.ModuleList(layers)

    def forward(self, x: Tensor, history: History) -> Tensor:
        return run(self.downsamples, x, history) + averaged(x, self.spec)


class UpStage(nn.Module):
    """layers(x) + x repeated in time, height, width and channels; the last stage has no shortcut."""

    def __init__(self, spec: Stage, layers: list[nn.Module]) -> None:
        super().__init__()
        self.spec = spec
        self.upsamples = nn.ModuleList(layers)

    def forward(self, x: Tensor, history: History) -> Tensor:
        y = run(self.upsamples, x, history)
        if self.spec.resample is None:
            return y
        return y + repeated(x, self.spec, history.first)


def averaged(x: Tensor, spec: Stage) -> Tensor:
    """[B, C, T, H, W] -> [B, C', ceil(T/time), H/space, W/space].

    Blocks unfold into channels (channel, time, row, column); each output channel is the mean of
    as many consecutive ones as it takes. Missing frames are zeros in front.
    """
    x = F.pad(x, (0, 0, 0, 0, -x.shape[2] % spec.time, 0))
    x = rearrange(
        x,
        "b c (t ft) (h fh) (w fw) -> b (c ft fh fw) t h w",
        ft=spec.time, fh=spec.space, fw=spec.space,
    )  # fmt: skip
    return reduce(x, "b (c group) t h w -> b c t h w", "mean", c=spec.channels_out)


def repeated(x: Tensor, spec: Stage, first: bool) -> Tensor:
    """[B, C, T, H, W] -> [B, C', T*time, H*space, W*space]: the transpose of `averaged`, not divided.

    The first chunk is one frame and stays one frame.
    """
    times = spec.channels_out * spec.time * spec.space**2 // spec.channels_in
    x = rearrange(
        x.repeat_interleave(times, dim=1),
        "b (c ft fh fw) t h w -> b c (t ft) (h fh) (w fw)",
        ft=spec.time, fh=spec.space, fw=spec.space,
    )  # fmt: skip
    return x[:, :, spec.time - 1 :] if first else x
