"""Blocks whose linears multiply in fp8: near the same, and everything beside them finds the rows it reads."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.transformer.adapters.single import Single
from tests.transformer.models import noise, relative, tiny
from tests.transformer.scene import Scene
from wancore.kernels.codes import Codes, quantised
from wancore.quant.arithmetic import token_fp8
from wancore.quant.linear import Linear, weight_only
from wancore.quant.scaled import ScaledWeight
from wancore.transformer.canvas import Segment
from wancore.transformer.fp8 import join_linears, use_fp8
from wancore.transformer.linears import feed_forward, form_for, lay_side_by_side, project, side_by_side
from wancore.transformer.model import WanTransformer
from wancore.transformer.record import LowRank, record

SIZES = {"dim": 64, "ffn_dim": 96, "num_heads": 2}


def in_fp8() -> WanTransformer:
    model = tiny(**SIZES)
    use_fp8(model, "cpu")
    return model


def own_segment() -> Segment:
    return Segment("own", noise(3, 64), lambda canvas, speeds: speeds.factors(torch.zeros(3, 3)), 0.0, False)


def error(got: Tensor, wanted: Tensor) -> float:
    return float((got - wanted).norm() / wanted.norm())


@torch.no_grad()
def test_a_forward_is_near_that_of_floats() -> None:
    model = tiny(**SIZES)
    wanted = Scene(model).predict()
    changed = use_fp8(model, "cpu")
    ends = {name.split(".", 2)[2] for name in changed}
    assert ends == {"self_attn." + x for x in "qkvo"} | {"cross_attn." + x for x in "qkvo"} | {
        "ffn.0",
        "ffn.2",
    }
    assert len(changed) == 10 * len(model.layers)
    assert model.layers[0].cross_attn.k.arithmetic is weight_only
    assert 1e-3 < error(Scene(model).predict(), wanted) < 0.1
    again = use_fp8(model, "cpu")  # those that are in fp8 already are just multiplied so
    assert again == [name for name in changed if "cross_attn.k" not in name and "cross_attn.v" not in name]


@torch.no_grad()
def test_sizes_that_no_fp8_product_takes_stay_in_floats() -> None:
    model = tiny(dim=48, ffn_dim=72)
    assert not any("ffn" in name for name in use_fp8(model, "cpu"))
    assert type(model.layers[0].ffn[0]) is nn.Linear


@torch.no_grad()
def test_the_norm_gives_what_its_readers_want() -> None:
    block = in_fp8().layers[0]
    q, k = block.self_attn.q, block.self_attn.k
    plain = nn.Linear(4, 4)
    assert (form_for(q, k).codes, form_for(q, k).plain) == (True, False)
    assert form_for(q, plain).plain and not form_for(plain).codes
    assert form_for(q, plain=True).plain
    handle = k.register_forward_hook(lambda *args: None)
    assert form_for(q, k).plain
    handle.remove()
    q.arithmetic = weight_only
    assert not form_for(q).codes


@torch.no_grad()
def test_taps_branches_and_low_rank_read_plain_rows() -> None:
    model, seen = in_fp8(), []
    Scene(model).predict({"a": Single(lambda i: {"tap": lambda n, data: seen.append(n)})})
    assert len(seen) == 2 and all(isinstance(n, Tensor) for n in seen)
    canvas, own = Scene(model).canvas, own_segment()
    low_rank = {f"blocks.{i}.self_attn.q": LowRank(noise(2, 64), noise(64, 2)) for i in range(2)}
    without = record(model, own, canvas, "input")
    withit = record(model, own, canvas, "input", low_rank=low_rank)
    assert relative(withit[0].n, without[0].n) == 0 and relative(withit[1].n, without[1].n) > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("fp8", [False, True])
def test_linears_side_by_side_keep_their_values(fp8: bool) -> None:
    model = in_fp8() if fp8 else tiny(**SIZES)
    wanted = Scene(model).predict()
    join_linears(model)
    assert torch.equal(Scene(model).predict(), wanted)
    attention = model.layers[0].self_attn
    stored = [m.weight.codes if fp8 else m.weight for m in (attention.q, attention.k, attention.v)]
    whole = side_by_side(stored)
    assert whole is not None and torch.equal(whole.float(), torch.cat([t.float() for t in stored]))
    attention.k.bias.add_(1)
    assert side_by_side([attention.q.bias, attention.k.bias, attention.v.bias]) is not None
    assert (
        side_by_side([stored[0], stored[2]]) is None and side_by_side([stored[0], stored[1].clone()]) is None
    )


@torch.no_grad()
def test_one_product_of_codes_equals_three() -> None:
    layers: list[Any] = []
    for out in (32, 16, 16):
        codes, scale = quantised(noise(out, 64, seed=out))
        layers.append(Linear(ScaledWeight("fp8 e4m3", codes, scale), noise(out), token_fp8))
    plain = noise(5, 64)
    rows = Codes(*quantised(plain), torch.float32, plain)
    separate = project(rows, layers)
    lay_side_by_side(layers)
    handle = layers[1].register_forward_hook(lambda module, inputs, out: out + inputs[0].plain[:, :16])
    joined = project(rows, layers)
    handle.remove()
    assert len({t.untyped_storage().data_ptr() for t in joined[::2]}) == 1
    assert relative(joined[0], separate[0]) < 1e-6 and relative(joined[2], separate[2]) < 1e-6
    assert relative(joined[1], separate[1] + plain[:, :16]) < 1e-6


@torch.no_grad()
def test_a_feed_forward_in_every_mixture() -> None:
    up, down = nn.Linear(32, 48), nn.Linear(48, 32)
    x = noise(4, 32)
    wanted = down(nn.functional.gelu(up(x), approximate="tanh"))
    assert relative(feed_forward(x, up, down), wanted) < 1e-6

    def coded(layer: nn.Linear) -> Linear:
        return Linear(ScaledWeight("fp8 e4m3", *quantised(layer.weight)), layer.bias, token_fp8)

    rows = Codes(*quantised(x), torch.float32)
    for given, first, second in (
        (rows, coded(up), coded(down)),
        (rows, coded(up), down),
        (x, up, coded(down)),
    ):
        assert 1e-3 < error(feed_forward(given, first, second), wanted) < 0.1
