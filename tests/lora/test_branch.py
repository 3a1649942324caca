"""The low-rank branch: what is computed once, what moves, what stays."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.lora.adapters import lora, low_rank, model, velocity, write
from tests.transformer.models import noise, relative
from wancore.lora.branch import Branch, Down
from wancore.lora.runtime import LoraOptions, apply_loras

BASE = model()
QKV = ("self_attn.q", "self_attn.k", "self_attn.v")
FLY = LoraOptions("on-the-fly")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("loras")
    return [write(folder / f"{i}.safetensors", low_rank(BASE, rank=3 + i, seed=i)) for i in range(2)]


def test_all_adapters_of_a_linear_are_one_pair(files: list[Path]) -> None:
    base = model()
    with apply_loras(base, [lora(f) for f in files], FLY):
        branch = base.blocks[0].ffn[0].lora
        assert isinstance(branch, Branch) and branch.up.shape == (80, 7) and branch.down.shape == (7, 48)
        assert len(base.blocks[0].ffn[0]._forward_hooks) == 1


def test_queries_keys_and_values_share_the_first_product(files: list[Path]) -> None:
    """One product of 3 x rank rows instead of three, for the very same result."""
    base, x = model(), noise(5, 48)
    with apply_loras(base, [lora(files[0])], FLY), torch.no_grad():
        attention = base.blocks[0].self_attn
        layers = [attention.q, attention.k, attention.v]
        shared = [layer(x) for layer in layers]
        alone = [layer(x.clone()) for layer in layers]
        assert all(torch.equal(a, b) for a, b in zip(shared, alone, strict=True))
        with FlopCounterMode(display=False) as counter:
            for layer in layers:
                layer(x)
        # The second products are added in place, which is not counted.
        assert counter.get_total_flops() == 3 * 2 * 5 * 48 * 48 + 2 * 5 * (3 * 3) * 48


def test_a_changed_input_is_multiplied_again(files: list[Path]) -> None:
    base, x = model(), noise(5, 48)
    with apply_loras(base, [lora(files[0])], FLY), torch.no_grad():
        attention = base.blocks[0].self_attn
        attention.q(x)
        x += 1
        wanted = attention.k(x.clone())
        attention.q(x)
        x *= 2
        assert not torch.equal(attention.k(x), wanted)
        assert torch.equal(attention.k(x), attention.k(x.clone()))


def test_changed_strengths_are_multiplied_again(files: list[Path]) -> None:
    base, x = model(), noise(5, 48)
    with apply_loras(base, [lora(files[0], strength=(1.0, 0.25))], FLY) as applied, torch.no_grad():
        attention = base.blocks[0].self_attn
        attention.q(x)
        applied.set_step(1)
        assert torch.equal(attention.k(x), attention.k(x.clone()))


def test_the_shared_product_is_let_go() -> None:
    down = Down(noise(6, 8), members=3)
    down.set(0, torch.ones(6))
    x = noise(4, 8)
    for member in range(3):
        down(x, member)
    assert down._product is None
    down(x, 0)
    del x
    y = noise(4, 8, seed=1)
    assert torch.equal(down(y, 1), y @ down.down.mT)


def test_factors_move_with_their_block(files: list[Path]) -> None:
    """So that a swapped block brings them along; strengths can be set wherever they are."""
    base = model()
    with apply_loras(base, [lora(files[0], strength=(1.0, 0.5))], FLY) as applied:
        block = base.blocks[0]
        moved = {name for name, _ in block.named_buffers()}
        assert {"self_attn.k.lora.up", "ffn.2.lora_down.scales", "ffn.2.lora_down.down"} <= moved
        assert sum(name.startswith("self_attn.") and name.endswith("lora_down.down") for name in moved) == 2
        assert not any("lora" in name for name in base.state_dict())
        block.to(torch.float64)
        assert block.self_attn.k.lora.down.dtype == torch.float64
        applied.set_step(1)


def test_halves_are_padded_for_tensor_cores(files: list[Path]) -> None:
    base = model(torch.bfloat16)
    with apply_loras(base, [lora(f) for f in files], FLY):
        assert base.blocks[0].ffn[0].lora.up.shape == (80, 16)
        got = velocity(base)
    with apply_loras(base, [lora(f) for f in files], LoraOptions("merged")):
        assert relative(got, velocity(base)) < 0.05


def test_batches_and_gradients(files: list[Path]) -> None:
    base, x = model(), noise(2, 3, 48, seed=4)
    with apply_loras(base, [lora(files[0])], FLY) as applied:
        layer = base.blocks[0].ffn[0]
        wanted = x @ applied.dense("blocks.0.ffn.0.weight").mT + layer.bias
        assert relative(layer(x), wanted) < 1e-6
        assert relative(layer(x[0, 0]), wanted[0, 0]) < 1e-6
        x.requires_grad_()
        layer(x).sum().backward()
        wanted_gradient = applied.dense("blocks.0.ffn.0.weight").sum(0)
        assert x.grad is not None and relative(x.grad[0, 0], wanted_gradient) < 1e-5


def test_strengths_change_without_new_graphs(files: list[Path]) -> None:
    """The scales are tensors that are written into; compiled code reads them."""
    base = model()
    with apply_loras(base, [lora(files[0], strength=(1.0, 0.5))], FLY) as applied, torch.no_grad():
        layer, x = base.blocks[0].ffn[0], noise(4, 48)
        compiled = torch.compile(layer, backend="eager", fullgraph=True)
        torch._dynamo.config.error_on_recompile = True
        try:
            first = compiled(x)
            applied.set_step(1)
            second = compiled(x)
        finally:
            torch._dynamo.config.error_on_recompile = False
        wanted = x @ applied.dense("blocks.0.ffn.0.weight").mT + layer.bias
        assert relative(second, wanted) < 1e-6 and relative(first, wanted) > 1e-3
