"""The stages of Wan 2.2: layers in sequence and a shortcut without parameters around them.

Tensors are [B, C, T, H, W]. Source: Wan-Video/Wan2.2 `wan/modules/vae2_2.py`.
"""

from __future__ import annotations

from torch import Tensor, nn

from wancore.kernels import vae as ops
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
        return ops.add_averaged(run(self.downsamples, x, history), x, fold(self.spec))


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
        return ops.add_repeated(y, x, fold(self.spec))


def fold(spec: Stage) -> ops.Fold:
    return ops.Fold(spec.time, spec.space)
