"""What torch.compile makes of a block on a GPU: one graph, with the kernels in it as operators.

Tensors without values stand for those of a GPU, so that this holds where there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import EagerAndRecordGraphs
from torch._subclasses.fake_tensor import FakeTensorMode

from wancore.kernels import fp8_product, product, sources
from wancore.kernels.library import settled
from wancore.quant.arithmetic import token_fp8
from wancore.quant.linear import Linear
from wancore.quant.scaled import ScaledWeight
from wancore.transformer.block import Block
from wancore.transformer.config import TransformerConfig
from wancore.transformer.fp8 import BLOCK_LINEARS
from wancore.transformer.levels import Levels
from wancore.transformer.residual import Residual
from wancore.transformer.rope import Rotation
from wancore.transformer.stream import Stream

CONFIG = TransformerConfig(dim=256, ffn_dim=512, num_heads=2, num_layers=1, in_dim=16, out_dim=16, text_dim=0)
ROWS, HALF = 64, 64


def on_gpu(*shape: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    return torch.empty(shape, device="cuda", dtype=dtype)


def empty_block(fp8: bool) -> Block:
    with torch.device("meta"):
        block = Block(CONFIG)
    for module in block.modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is not None:
                setattr(module, name, nn.Parameter(on_gpu(*parameter.shape), requires_grad=False))
    for name, layer in list(block.named_modules()):
        if fp8 and isinstance(layer, nn.Linear) and BLOCK_LINEARS.fullmatch(f"blocks.0.{name}"):
            out, width = layer.weight.shape
            codes = on_gpu(out, width, dtype=torch.float8_e4m3fn)
            weight = ScaledWeight("fp8 e4m3", codes, on_gpu(out, 1, dtype=torch.float32))
            parent, _, leaf = name.rpartition(".")
            setattr(block.get_submodule(parent), leaf, Linear(weight, on_gpu(out), token_fp8))
    return block


@pytest.fixture
def as_if_there_were_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    served: Callable[[Any], bool] = lambda device: True  # noqa: E731
    monkeypatch.setattr(sources.KERNELS, "serves", served)
    monkeypatch.setattr(fp8_product, "row_wise", settled(lambda index: True))
    monkeypatch.setattr(product, "on_hopper", settled(lambda index: True))


@torch.no_grad()
@pytest.mark.parametrize(("fp8", "large"), [(False, False), (True, False), (True, True)])
def test_one_graph_with_the_kernels_in_it(
    fp8: bool, large: bool, as_if_there_were_a_gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch._dynamo.reset()
    monkeypatch.setattr(product, "LARGE", ROWS if large else product.LARGE)
    with FakeTensorMode(allow_non_fake_inputs=True):
        block = empty_block(fp8)
        table = on_gpu(ROWS, HALF, dtype=torch.float32)
        stream = Stream(Levels(), Rotation(table, table), ROWS, 0, None, lambda q, k, v: q.clone())
        backend = EagerAndRecordGraphs()
        run = torch.compile(block.advance, backend=backend, fullgraph=True)
        e0 = on_gpu(1, 6, CONFIG.dim, dtype=torch.float32)
        out = run(Residual(on_gpu(ROWS, CONFIG.dim), stream.levels), e0, stream)
    (graph,) = backend.graphs
    called = [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]
    kernels = [name.split(".")[1] for name in called if name.startswith("wancore.")]
    quantised, products = (["activation"] if fp8 else []), (["product"] if large else [])
    attention = ["junction", *3 * products, "norm_rotate_", *quantised, *products]
    assert kernels == [*attention, "junction", *products, *quantised, *products]
    assert sum("_scaled_mm" in name for name in called) == (6 if fp8 and not large else 0)
    assert out.x.shape == (ROWS, CONFIG.dim) and len(out.waiting) == 1


def test_the_mark_is_the_compiler_s_own() -> None:
    def question() -> bool:
        return True

    def answered() -> bool:
        return True

    assert vars(settled(question)) == vars(torch.compiler.assume_constant_result(answered)) != {}
