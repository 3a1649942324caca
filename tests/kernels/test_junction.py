"""The twins of junctions, norms and rotations, against their formulas in float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.kernels.compare import close, codes_close
from wancore.kernels.codes import Codes
from wancore.kernels.junction import PLAIN, Affine, Form, Modulated, Update, junction
from wancore.kernels.rotary import norm_rotate, rms_norm
from wancore.transformer.levels import Levels
from wancore.transformer.residual import Residual
from wancore.transformer.rows import Rows

DTYPES = st.sampled_from([torch.float32, torch.float16, torch.bfloat16])
SIZES = st.integers(1, 6), st.integers(8, 40)


def standardised(x: Tensor) -> Tensor:
    x = x.double()
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-6).sqrt()


@given(*SIZES, st.integers(1, 3), DTYPES)
def test_gate_then_modulated_norm(rows: int, width: int, count: int, dtype: torch.dtype) -> None:
    torch.manual_seed(rows * 41 + width)
    x, update = torch.randn(rows, width).to(dtype), torch.randn(rows, width).to(dtype)
    gate, shift, scale = torch.randn(count, 3, width).unbind(1)
    level = torch.randint(0, count, (rows,))
    levels = Levels.of(level) if count > 1 else Levels()
    if count > 1:
        levels = Levels(count, level.int(), levels.runs)
    total, n = junction(x, [Update(update, gate=gate)], Modulated(shift, scale), levels)
    assert close(total, x.double() + update.double() * gate[level * (count > 1)].double())
    at = level * (count > 1)
    assert isinstance(n, Tensor)
    assert close(n, standardised(total) * (1 + scale[at].double()) + shift[at].double())


@given(*SIZES, DTYPES, st.booleans())
def test_affine_norm_and_its_codes(rows: int, width: int, dtype: torch.dtype, plain: bool) -> None:
    torch.manual_seed(rows * 41 + width)
    x, weight, bias = (torch.randn(n, width).to(dtype) for n in (rows, 1, 1))
    wanted = standardised(x) * weight.double() + bias.double()
    same, n = junction(x, (), Affine(weight[0], bias[0]), form=Form(codes=True, plain=plain))
    assert same is x and isinstance(n, Codes) and codes_close(n, wanted)
    assert close(n.plain, wanted) if n.plain is not None else not plain


@given(*SIZES, DTYPES)
def test_norm_and_rotation(rows: int, pairs: int, dtype: torch.dtype) -> None:
    torch.manual_seed(rows * 41 + pairs)
    heads, head = 2, 2 * pairs
    q, k = (torch.randn(rows, heads * head).to(dtype) for _ in range(2))
    weights = torch.rand(heads * head).to(dtype), torch.rand(heads * head).to(dtype)
    factors = torch.polar(torch.rand(rows, pairs).double(), 9 * torch.randn(rows, pairs).double())
    cos, sin = factors.real.float(), factors.imag.float()
    factors = torch.complex(cos.double(), sin.double())[:, None]
    got = norm_rotate(q, k, weights, 1e-6, cos, sin, plain=True)
    for out, x, weight in ((got.q, q, weights[0]), (got.k, k, weights[1])):
        x = x.double()
        x = x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * weight.double()
        assert close(rms_norm((q if out is got.q else k), weight, 1e-6), x)
        turned = torch.view_as_real(torch.view_as_complex(x.view(rows, heads, pairs, 2)) * factors)
        tolerance = (
            2 * 2.0**-8 if dtype == torch.bfloat16 else 2 * 2.0**-11
        )  # the twin rounds before it turns
        assert torch.allclose(out.double(), turned.flatten(2), rtol=tolerance, atol=4 * tolerance)
    assert got.plain is not None and got.plain.shape == (rows, heads, head)


def test_updates_of_some_rows_and_their_strength() -> None:
    x, part = torch.randn(6, 4), torch.randn(2, 4)
    for strength in (None, 0.5, torch.tensor(0.5)):
        total, none = junction(x, [Update(part, 3, strength=strength)])
        wanted = x.clone()
        wanted[3:5] += part * (1.0 if strength is None else 0.5)
        assert none is None and torch.allclose(total, wanted)
    with pytest.raises(ValueError, match=r"rows 5\.\.7 do not fit a sequence of 6"):
        junction(x, [Update(part, 5)])
    with pytest.raises(ValueError, match="do not fit"):
        junction(x, [Update(part, 0, gate=torch.ones(1, 4))])


def test_a_stream_adds_what_waits_once() -> None:
    x, first, second = (torch.randn(3, 8) for _ in range(3))
    stream = Residual(x, Levels()).plus(first, torch.full((1, 8), 2.0)).plus_rows([Rows(second[:1], 2, 3.0)])
    wanted = x + 2 * first
    wanted[2] += 3 * second[0]
    assert torch.allclose(stream.value(), wanted) and torch.allclose(stream.settled().x, wanted)
    after, n = stream.normed(Affine(), 1e-6, PLAIN)
    assert torch.allclose(after.value(), wanted) and not after.waiting
    assert isinstance(n, Tensor) and close(n, standardised(wanted))
    assert after.settled() is after
