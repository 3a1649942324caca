"""Every form of a change against its formula, written out by hand in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.transformer.models import noise, relative
from wancore.lora.deltas import Dora, Factor, Full, LoHa, LoKr, LowRank

CPU = torch.device("cpu")
W = noise(6, 8, seed=90)


def test_low_rank_flattens_convolutions() -> None:
    down, up = noise(2, 3, 1, 2, 2), noise(5, 2, 1, 1, 1, seed=1)
    wanted = torch.einsum("or,rcthw->octhw", up.double()[:, :, 0, 0, 0], down.double())
    delta = LowRank(down, up, 0.5)
    delta.check((5, 3, 1, 2, 2))
    got = delta.applied(torch.zeros(5, 3, 1, 2, 2), 3.0)
    assert relative(got, 1.5 * wanted) < 1e-6


def test_factors_are_upcast_before_they_are_multiplied() -> None:
    down, up = noise(4, 8).bfloat16(), noise(6, 4, seed=1).bfloat16()
    wanted = W.double() + 0.7 * (up.double() @ down.double())
    assert relative(LowRank(down, up).applied(W, 0.7), wanted) < 1e-6


def test_lokr_is_a_kronecker_product() -> None:
    w1, a, b = noise(2, 4), noise(3, 2, seed=1), noise(2, 2, seed=2)
    delta = LoKr(Factor(w1), Factor(a, b), 0.25)
    delta.check((6, 8))
    wanted = 0.25 * torch.kron(w1.double(), a.double() @ b.double())
    assert relative(delta.applied(torch.zeros(6, 8), 1.0), wanted) < 1e-6


def test_factors_with_a_core_are_tucker_products() -> None:
    t, a, b = noise(2, 3, 1, 2, 2), noise(2, 5, seed=1), noise(3, 4, seed=2)
    factor = Factor(a, b, t)
    wanted = torch.zeros(5, 4, 1, 2, 2, dtype=torch.float64)
    for i in range(2):
        for j in range(3):
            outer = a.double()[i][:, None] * b.double()[j][None]
            wanted += outer[:, :, None, None, None] * t.double()[i, j]
    assert factor.shape == (5, 4, 1, 2, 2)
    assert relative(factor.dense(CPU), wanted) < 1e-6
    kron = LoKr(Factor(torch.ones(1, 1)), factor)
    kron.check((5, 4, 1, 2, 2))
    assert relative(kron.applied(torch.zeros(5, 4, 1, 2, 2), 2.0), 2 * wanted) < 1e-6


def test_loha_is_an_elementwise_product() -> None:
    a, b, c, d = noise(6, 2), noise(2, 8, seed=1), noise(6, 2, seed=2), noise(2, 8, seed=3)
    delta = LoHa(Factor(a, b), Factor(c, d), 0.5)
    delta.check((6, 8))
    wanted = 0.5 * (a.double() @ b.double()) * (c.double() @ d.double())
    assert relative(delta.applied(torch.zeros(6, 8), 1.0), wanted) < 1e-6


@pytest.mark.parametrize("original", [False, True])
@pytest.mark.parametrize("shape", [(6,), (6, 1), (1, 8)])
def test_dora(original: bool, shape: tuple[int, ...]) -> None:
    """Rows by the norm of W + D, or of W as ComfyUI does; columns always by W + D."""
    inner, magnitude = LowRank(noise(2, 8, seed=4), noise(6, 2, seed=5), 0.5), noise(*shape, seed=6)
    delta = Dora(inner, magnitude, original)
    delta.check((6, 8))
    changed = W.double() + inner.applied(torch.zeros(6, 8), 1.0).double()
    columns = shape == (1, 8)
    measured = W.double() if original and not columns else changed
    norm = measured.norm(dim=0, keepdim=True) if columns else measured.norm(dim=1, keepdim=True)
    m = magnitude.double() if columns else magnitude.double().reshape(6, 1)
    wanted = W.double() + 0.75 * (changed * m / norm - W.double())
    assert relative(delta.applied(W, 0.75), wanted) < 1e-6


@pytest.mark.parametrize(
    ("delta", "shape"),
    [
        (LowRank(noise(2, 8), noise(5, 2)), (6, 8)),
        (LowRank(noise(2, 7), noise(6, 2)), (6, 8)),
        (LowRank(noise(2, 8), noise(6, 3)), (6, 8)),
        (LowRank(noise(2, 8), noise(6, 2)), (6,)),
        (LowRank(noise(2), noise(6, 2)), (6, 8)),
        (Full(noise(7)), (6,)),
        (Full(noise(8, 6)), (6, 8)),
        (LoKr(Factor(noise(2, 4)), Factor(noise(3, 3))), (6, 8)),
        (LoKr(Factor(noise(4, 3)), Factor(noise(2, 4))), (6, 8)),
        (LoKr(Factor(noise(2)), Factor(noise(3, 2))), (6, 8)),
        (LoHa(Factor(noise(6, 2), noise(2, 8)), Factor(noise(6, 2), noise(3, 8))), (6, 8)),
        (LoHa(Factor(noise(6, 2), noise(2, 7)), Factor(noise(6, 2), noise(2, 8))), (6, 8)),
        (LoHa(Factor(noise(2, 5), noise(3, 4), noise(2, 2, 1)), Factor(noise(2, 5))), (5, 4)),
        (Dora(LowRank(noise(2, 8), noise(6, 2)), noise(7)), (6, 8)),
    ],
)
def test_what_does_not_fit_is_refused(delta: LowRank, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError):
        delta.check(shape)


def test_a_difference_may_have_other_axes_of_one(values: Tensor = noise(1, 6, 8)) -> None:
    delta = Full(values)
    delta.check((6, 8))
    assert torch.equal(delta.applied(W, 2.0), W + 2.0 * values[0])
