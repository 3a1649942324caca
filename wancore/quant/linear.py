"""The linear layer of quantised models: the weight's format and the arithmetic are its parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from wancore.kernels.codes import Codes
from wancore.quant.weight import Weight

#: x [..., in] (some also take its fp8 codes), weight [out, in], bias [out] -> [..., out] in the dtype of x.
Arithmetic = Callable[[Any, Weight, Tensor | None], Tensor]


def weight_only(x: Tensor, weight: Weight, bias: Tensor | None) -> Tensor:
    """The product with the dequantised weight: what every format can do, and the reference for the others."""
    return F.linear(x, weight.dequantised(x.dtype), None if bias is None else bias.to(x.dtype))


class Linear(nn.Module):
    """x [..., in] -> x W^T + b [..., out], for a weight in any format.

    It stands where the model was built with `torch.nn.Linear`; `arithmetic` says how the product is
    computed (arithmetic.py has those with quantised activations).
    """

    def __init__(self, weight: Weight, bias: Tensor | None, arithmetic: Arithmetic = weight_only) -> None:
        super().__init__()
        self.weight = weight
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
        self.arithmetic = arithmetic

    @property
    def in_features(self) -> int:
        return self.weight.shape[1]

    @property
    def out_features(self) -> int:
        return self.weight.shape[0]

    def forward(self, x: Tensor | Codes) -> Tensor:
        return self.arithmetic(x, self.weight, self.bias)
