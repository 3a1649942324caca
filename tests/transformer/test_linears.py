"""Branches beside the linears: which product carries them, and that no way of adding them changes a value.

Tensors without values stand for those of a GPU, so that the choice is seen where there is none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from tests.transformer.models import noise, relative
from wancore.kernels import fp8_product, product, sources
from wancore.kernels.beside import beside
from wancore.kernels.codes import FP8, Codes, quantised
from wancore.kernels.library import settled
from wancore.lora.branch import Branch, Down, Hook, Stack
from wancore.lora.statistics import Statistics
from wancore.quant.arithmetic import token_fp8
from wancore.quant.linear import Linear
from wancore.quant.scaled import ScaledWeight
from wancore.transformer.linears import apply, feed_forward, project

pytestmark = pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")
ROWS, WIDTH, RANK = 64, 64, 16


class Calls(TorchDispatchMode):
    """Counts the operators of a forward."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[str(func).split(".")[1]] += 1
        return func(*args, **(kwargs or {}))


def values(device: str, *shape: int, seed: int = 0) -> Tensor:
    return noise(*shape, seed=seed) if device == "cpu" else empty(*shape)


def empty(*shape: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    return torch.empty(shape, device="cuda", dtype=dtype)


def linear(fp8: bool, out: int = WIDTH, width: int = WIDTH, device: str = "cpu", seed: int = 0) -> Any:
    weight, bias = values(device, out, width, seed=seed), values(device, out, seed=seed + 1)
    if fp8:
        real = device == "cpu"
        codes, scale = quantised(weight) if real else (weight.to(FP8), empty(out, 1, dtype=torch.float32))
        return Linear(ScaledWeight("fp8 e4m3", codes, scale), bias, token_fp8)
    layer = nn.Linear(width, out, device="meta")
    layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
    return layer


def with_branches(layers: list[Any], device: str = "cpu", rank: int = RANK) -> list[Branch]:
    """Random ones, on linears that read the same input."""
    down = Down(values(device, rank * len(layers), layers[0].in_features, seed=3), len(layers))
    branches = []
    for i, layer in enumerate(layers):
        part = down.down.narrow(0, rank * i, rank)
        up = values(device, layer.out_features, rank, seed=4 + i)
        stack = Stack(part, up, torch.zeros(rank, dtype=torch.long), torch.ones(rank))
        branches.append(Branch(stack, down, rank * i, Statistics()))
        layer.register_forward_hook(Hook(branches[-1]))
    return branches


@pytest.fixture
def on_hopper(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if there were such a GPU: nothing is computed, but what would be called is."""
    served: Callable[[Any], bool] = lambda device: True  # noqa: E731
    monkeypatch.setattr(sources.KERNELS, "serves", served)
    monkeypatch.setattr(fp8_product, "row_wise", settled(lambda index: True))
    monkeypatch.setattr(product, "on_hopper", settled(lambda index: True))
    monkeypatch.setattr(product, "LARGE", ROWS * WIDTH)
    with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True):
        yield


def rows(fp8: bool = False, count: int = ROWS) -> Tensor | Codes:
    plain = empty(count, WIDTH)
    if not fp8:
        return plain
    return Codes(empty(count, WIDTH, dtype=FP8), empty(count, 1, dtype=torch.float32), plain.dtype, plain)


@pytest.mark.parametrize("fp8", [False, True])
def test_a_product_carries_the_branch_beside_its_linear(fp8: bool, on_hopper: None) -> None:
    layer = linear(fp8, device="cuda")
    with Calls() as bare:
        apply(layer, rows(fp8))
    (branch,) = with_branches([layer], "cuda")
    with Calls() as calls:
        assert apply(layer, rows(fp8)).shape == (ROWS, WIDTH)
    assert bare.counts["product"] == fp8 and calls.counts["product"] == 1
    assert calls.counts["add_low_rank"] == 0 and branch.ran
    layer.register_forward_hook(lambda *args: None)  # its result is read by somebody else too
    with Calls() as calls:
        apply(layer, rows(fp8))
    assert calls.counts["product"] == fp8 and calls.counts["add_low_rank"] == 1


def test_linears_of_the_same_input(on_hopper: None) -> None:
    """Three products that carry their branches, and one first product for all."""
    layers = [linear(False, device="cuda", seed=i) for i in range(3)]
    with_branches(layers, "cuda")
    with Calls() as calls:
        project(rows(), layers)
    assert calls.counts["product"] == 3 and calls.counts["mm"] == 1


def test_a_feed_forward(on_hopper: None) -> None:
    up, down = linear(False, 128, 64, "cuda"), linear(False, 64, 128, "cuda")
    with_branches([up], "cuda")
    with_branches([down], "cuda")
    with Calls() as calls:
        feed_forward(rows(), up, down)
    assert calls.counts["product"] == 2 and calls.counts["activation"] == 0


@pytest.mark.parametrize("rank", [RANK, 12])
@pytest.mark.parametrize("less", [0, 1])
def test_what_the_kernel_does_not_take(rank: int, less: int, on_hopper: None) -> None:
    layer = linear(False, device="cuda")
    with_branches([layer], "cuda", rank)
    with Calls() as calls:
        apply(layer, rows(count=ROWS - less))
    assert calls.counts["product"] == (rank == RANK and not less)


@torch.no_grad()
@pytest.mark.parametrize("fp8", [False, True])
def test_without_such_a_gpu_hooks_add_them(fp8: bool) -> None:
    layers, x = [linear(fp8, seed=i) for i in range(3)], noise(5, WIDTH)
    bare = project(x, layers)
    branches = with_branches(layers)
    for branch in branches:
        branch.set(torch.tensor([0.5]))
    for layer, branch, got, base in zip(layers, branches, project(x, layers), bare, strict=True):
        wanted = base + 0.5 * x @ branch.down.mT @ branch.up.mT
        assert relative(got, wanted) < 1e-5 and relative(apply(layer, x), wanted) < 1e-5
        factors = beside(layer).factors(x)  # type: ignore[union-attr]
        assert relative(factors.h @ factors.up.mT, wanted - base) < 1e-5
        assert factors.h.is_contiguous()
    handle = layers[0].register_forward_hook(lambda *args: None)
    assert beside(layers[0]) is None
    handle.remove()
    assert isinstance(beside(layers[0]), Hook) and beside(linear(fp8)) is None
