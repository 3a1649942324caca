"""The linears of a block: what form of their input they want, and several that read one input as one product.

Whatever changes a linear (a quantised weight, a low-rank branch beside it, a streamed difference) says so in
the linear itself, and only the linears that it changes leave the short way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wancore.kernels import product as carrying
from wancore.kernels.activation import activation, quantise_rows
from wancore.kernels.beside import Beside, beside
from wancore.kernels.codes import Codes, plain_rows
from wancore.kernels.fp8_product import fp8_product
from wancore.kernels.junction import PLAIN, Form
from wancore.kernels.library import switched_off
from wancore.quant.arithmetic import token_fp8
from wancore.quant.linear import Linear
from wancore.quant.scaled import ScaledWeight
from wancore.runtime.swap.swap import BringIn


def form_for(*layers: nn.Module, plain: bool = False) -> Form:
    """What these linears, which read the same rows, want; `plain`: something else reads the plain rows."""
    codes = [takes_codes(layer) for layer in layers]
    if not any(codes):
        return PLAIN
    return Form(codes=True, plain=plain or not all(codes) or any(layer._forward_hooks for layer in layers))


def takes_codes(layer: nn.Module) -> bool:
    return isinstance(layer, Linear) and layer.arithmetic is token_fp8 and untouched(layer)


def untouched(layer: nn.Module) -> bool:
    """Whether its forward is its own; hooks may add to the result, or bring its weights in."""
    before = layer._forward_pre_hooks.values()
    return "forward" not in layer.__dict__ and all(isinstance(hook, BringIn) for hook in before)


def apply(layer: nn.Module, x: Tensor | Codes) -> Tensor:
    """The linear of rows in whatever form they are there."""
    if not takes_codes(layer):
        x = plain_rows(x)
    elif isinstance(x, Tensor) and beside(layer) is not None:
        x = quantise_rows(x, plain=True)  # here, since a product that carries the branch reads both
    out = carried(layer, x)
    return layer(x) if out is None else out


def carried(layer: nn.Module, x: Tensor | Codes, *, gelu: bool = False) -> Tensor | None:
    """The linear of rows [S, in] and the branch beside it as one product, then GELU (tanh) if `gelu`.

    None where there is no branch, or no product that carries it.
    """
    branch = carried_branch(layer, x)
    if branch is None:
        return None
    weight, scale = matrix(layer)
    bias: Tensor | None = layer.bias  # type: ignore[assignment]
    assert weight is not None
    return carrying.product(x, weight, scale, bias, branch.factors(plain_rows(x)), gelu=gelu)


def carried_branch(layer: nn.Module, x: Tensor | Codes) -> Beside | None:
    branch = beside(layer)
    if branch is None or torch.is_grad_enabled() or torch.compiler.is_compiling() or not untouched(layer):
        return None
    weight, _ = matrix(layer)
    return branch if weight is not None and carrying.suits(x, weight, branch.rank) else None


def matrix(layer: nn.Module) -> tuple[Tensor | None, Tensor | None]:
    """What products read: a plain weight [out, in], or fp8 codes with scales of rows [out, 1]; else None."""
    if type(layer) is nn.Linear:
        return layer.weight, None
    if takes_codes(layer) and isinstance(layer.weight, ScaledWeight):
        scale = layer.weight.row_scales
        return (None if scale is None else layer.weight.codes), scale
    return None, None


def project(x: Tensor | Codes, layers: Sequence[nn.Module]) -> list[Tensor]:
    """The linears of the same rows [S, in] -> [S, out] each: one product where the weights lie side by side.

    The results may be slices of one tensor.
    """
    joined = None if any(carried_branch(layer, x) for layer in layers) else product(x, layers)
    if joined is None:
        return [apply(layer, x) for layer in layers]
    outs = joined.split([layer.out_features for layer in layers], dim=-1)
    return [hooked(layer, x, out) for layer, out in zip(layers, outs, strict=True)]


def product(x: Tensor | Codes, layers: Sequence[nn.Module]) -> Tensor | None:
    """All the products in one tensor [S, sum of out], or None where that is not one product."""
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or not all(map(untouched, layers)):
        return None
    if isinstance(x, Tensor):
        if not x.is_cuda or not all(type(layer) is nn.Linear for layer in layers):
            return None
        weight = side_by_side([layer.weight for layer in layers])  # type: ignore[misc]
        return None if weight is None else F.linear(x, weight, stacked([layer.bias for layer in layers]))  # type: ignore[misc]
    if not all(map(takes_codes, layers)):
        return None
    weights: list[Any] = [layer.weight for layer in layers]
    codes = side_by_side([w.codes for w in weights])
    if codes is None or any(w.row_scales is None for w in weights):
        return None
    scale = stacked([w.row_scales for w in weights])
    assert scale is not None
    return fp8_product(x, codes, scale, stacked([layer.bias for layer in layers]))  # type: ignore[misc]


def hooked(layer: nn.Module, x: Tensor | Codes, out: Tensor) -> Tensor:
    """`out`, the linear's own result, with what its hooks make of it."""
    for hook in layer._forward_hooks.values():
        changed = hook(layer, (x,), out)
        out = out if changed is None else changed
    return out


def feed_forward(x: Tensor | Codes, up: nn.Module, down: nn.Module) -> Tensor:
    """down(gelu(up(x))), GELU in its tanh form."""
    form = form_for(down)
    hidden = one_trip(x, up) if form is PLAIN else None
    if hidden is None:
        hidden = activation(apply(up, x), "gelu", codes=form.codes, plain=form.plain)
    return apply(down, hidden)


def one_trip(x: Tensor | Codes, layer: nn.Module) -> Tensor | Codes | None:
    """gelu(layer(x)) where the product itself applies it."""
    if not isinstance(x, Tensor):
        return None
    if epilogue_suits(x, layer):
        return torch._addmm_activation(layer.bias, x, layer.weight.t(), use_gelu=True)  # type: ignore[arg-type, operator]
    return carried(layer, x, gelu=True)


def epilogue_suits(x: Tensor, layer: nn.Module) -> bool:
    """Whether the product itself can apply the activation, so that its input makes no trip of its own."""
    return (
        x.is_cuda
        and type(layer) is nn.Linear
        and layer.bias is not None
        and x.dtype == layer.weight.dtype != torch.float32
        and untouched(layer)
        and not layer._forward_hooks
        and not torch.is_grad_enabled()
        and not switched_off()
    )


def lay_side_by_side(layers: Sequence[nn.Module]) -> None:
    """Moves the weights and biases of linears with the same input behind each other, so that `project` makes
    one product of them; the layers keep them as views. Other formats than plain and row-wise fp8 stay."""
    if all(type(layer) is nn.Linear for layer in layers):
        together([layer.weight for layer in layers])  # type: ignore[misc]
        together([layer.bias for layer in layers])  # type: ignore[misc]
    elif all(isinstance(layer, Linear) and isinstance(layer.weight, ScaledWeight) for layer in layers):
        together([layer.weight.codes for layer in layers])  # type: ignore[union-attr, misc]
        together([layer.weight.scale for layer in layers])  # type: ignore[union-attr, misc]
        together([layer.bias for layer in layers])  # type: ignore[misc]


def together(tensors: Sequence[Tensor | None]) -> None:
    """Gives tensors [n, ...] new memory, one behind the other; nothing happens where one is missing."""
    given = [t for t in tensors if t is not None]
    if len(given) < len(tensors) or len({(t.dtype, t.shape[1:], t.device) for t in given}) > 1:
        return
    for tensor, part in zip(
        given, torch.cat([t.data for t in given]).split([len(t) for t in given]), strict=True
    ):
        tensor.data = part


def stacked(tensors: Sequence[Tensor | None]) -> Tensor | None:
    """[n, ...] of each as one; None where they are None."""
    given = [t for t in tensors if t is not None]
    if not given:
        return None
    if len(given) < len(tensors):
        raise ValueError("linears with and without a bias cannot be one product")
    whole = side_by_side(given)
    return torch.cat(given) if whole is None else whole


def side_by_side(tensors: Sequence[Tensor]) -> Tensor | None:
    """The one tensor that these [n, ...] are parts of, one behind the other; None where they are not."""
    first = tensors[0]
    end, rows = first.data_ptr(), 0
    for tensor in tensors:
        same = tensor.dtype == first.dtype and tensor.shape[1:] == first.shape[1:]
        if not same or not tensor.is_contiguous() or tensor.data_ptr() != end:
            return None
        if tensor.untyped_storage().data_ptr() != first.untyped_storage().data_ptr():
            return None
        end, rows = end + tensor.nbytes, rows + len(tensor)
    return first.detach().as_strided((rows, *first.shape[1:]), first.stride())
