"""Products with quantised activations."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.quant.formats import COLUMNS, ROWS, holding, matrix
from wancore.quant import Linear
from wancore.quant.arithmetic import MODES, compute_in, token_fp8
from wancore.quant.linear import weight_only
from wancore.quant.scaled import Activations, ScaledWeight


def relative(got: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((got - wanted).norm() / wanted.norm())


@pytest.mark.parametrize(
    ("mode", "name", "error"), [("fp8-token", "fp8 channel", 0.05), ("int8-token", "int8 channel", 0.02)]
)
def test_a_scale_a_token_stays_near_the_weight_only_product(mode: str, name: str, error: float) -> None:
    x = torch.randn(2, 5, COLUMNS)
    x[0, 0] *= 1e4  # an outlier row does not spoil the others
    x[0, 1] = 0
    kept = x.clone()
    layer = Linear(holding(name, matrix()), torch.randn(ROWS))
    expected = layer(x)
    assert compute_in(nn.Sequential(layer), mode) == ["0"]
    got = layer(x)
    assert torch.equal(x, kept) and torch.equal(got[0, 1], expected[0, 1])
    for row, wanted in zip(got.flatten(0, 1), expected.flatten(0, 1), strict=True):
        assert relative(row, wanted) < error
    assert layer(x.bfloat16()).dtype == torch.bfloat16


def test_a_static_scale_cuts_off_what_is_beyond_it() -> None:
    codes = torch.eye(4).to(torch.float8_e4m3fn)
    weight = ScaledWeight("fp8", codes, torch.ones(1), Activations(scale=2.0))
    layer = Linear(weight, None, MODES["fp8-static"].arithmetic)
    assert layer(torch.tensor([[1.0, 896.0, 2000.0, -2000.0]])).tolist() == [[1.0, 896.0, 896.0, -896.0]]


def test_only_layers_that_a_mode_suits_are_changed() -> None:
    precise = ScaledWeight(
        "fp8", torch.zeros(4, 4).to(torch.float8_e4m3fn), torch.ones(1), Activations(None, True)
    )
    layers = nn.ModuleDict(
        {
            "fp8": Linear(holding("fp8 channel", matrix()), None),
            "other": Linear(holding("fp8 one", matrix()), None),
            "tiles": Linear(holding("fp8 block", matrix()), None),
            "int8": Linear(holding("int8 channel", matrix()), None),
            "gguf": Linear(holding("Q4_0", matrix()), None),
            "precise": Linear(precise, None),
            "plain": nn.Linear(4, 4),
        }
    )
    assert compute_in(layers, "fp8-token", lambda name: name != "other") == ["fp8"]
    assert layers["fp8"].arithmetic is token_fp8 and layers["int8"].arithmetic is weight_only
    assert compute_in(layers, "weight-only") == [name for name in layers if name != "plain"]
    with pytest.raises(ValueError, match="arithmetic 'fast'; accepted: weight-only, fp8-token"):
        compute_in(layers, "fast")


def test_scales_finer_than_rows_are_refused() -> None:
    layer = Linear(holding("fp8 block", matrix()), None, token_fp8)
    with pytest.raises(ValueError, match="finer than output channels"):
        layer(torch.ones(1, COLUMNS))


def test_a_plain_fp8_weight_has_the_scale_one() -> None:
    weight = holding("fp8 plain", matrix())
    x = torch.randn(3, COLUMNS)
    assert relative(token_fp8(x, weight, None), F.linear(x, weight.values())) < 0.05
