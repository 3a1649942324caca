"""The linears of the blocks in fp8: a scale for each output channel, and for each token of the input."""

from __future__ import annotations

import re
from typing import cast

import torch
from torch import nn

from wancore.kernels.activation import quantise_rows
from wancore.quant.arithmetic import MODES, token_fp8
from wancore.quant.linear import Linear, weight_only
from wancore.quant.scaled import ScaledWeight
from wancore.transformer.linears import lay_side_by_side
from wancore.transformer.model import WanTransformer

BLOCK_LINEARS = re.compile(r"blocks\.\d+\.(self_attn\.[qkvo]|cross_attn\.([qkvo]|[kv]_img)|ffn\.[02])")
#: Keys and values of text attention see a few hundred rows, once: held in fp8, but multiplied in floats.
FEW_ROWS = re.compile(r"blocks\.\d+\.cross_attn\.[kv](_img)?")
FORMAT = "fp8 e4m3"


@torch.no_grad()
def use_fp8(
    model: nn.Module,
    device: torch.device | str,
    linears: re.Pattern[str] = BLOCK_LINEARS,
    computed_on: torch.device | str | None = None,
) -> list[str]:
    """Quantises the float linears of these names by rows, for `device`, and multiplies these, and those that
    are stored so, in fp8 with a scale per token. Returns their names.

    `computed_on`: where it is done, None for `device`. One layer at a time: a model that waits in host memory
    never takes its whole size on the device. Layers in other formats, or whose sizes no fp8 product takes,
    stay as they are.
    """
    changed = []
    for name, layer in [(n, m) for n, m in model.named_modules() if linears.fullmatch(n)]:
        if type(layer) is nn.Linear and not any(size % 16 for size in layer.weight.shape):
            rows = quantise_rows(layer.weight.detach().to(computed_on or device))
            bias = None if layer.bias is None else layer.bias.detach().to(device)
            parent, _, leaf = name.rpartition(".")
            weight = ScaledWeight(FORMAT, rows.codes.to(device), rows.scale.to(device))
            arithmetic = weight_only if FEW_ROWS.fullmatch(name) else token_fp8
            setattr(model.get_submodule(parent), leaf, Linear(weight, bias, arithmetic))
        elif FEW_ROWS.fullmatch(name):
            continue
        elif isinstance(layer, Linear) and MODES["fp8-token"].suits(layer.weight):
            layer.arithmetic = token_fp8
        else:
            continue
        changed.append(name)
    return changed


def join_linears(model: WanTransformer) -> None:
    """Lays queries, keys and values of self-attention side by side, where they become one product."""
    for block in model.layers:
        attention = block.self_attn
        lay_side_by_side(cast(list[nn.Module], [attention.q, attention.k, attention.v]))
