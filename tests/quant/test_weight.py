"""What holds for a weight of every format."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.quant.formats import COLUMNS, FORMATS, ROWS, empty, holding, matrix
from wancore.quant import Linear, QuantisationError, dense_weight, requantise, weight_format

every_format = pytest.mark.parametrize("name", FORMATS)


@every_format
@given(seed=st.integers(0, 2**31), scale=st.sampled_from((1e-3, 0.05, 1.0, 20.0)))
@settings(deadline=None, max_examples=10)
def test_requantising_stays_within_a_step(name: str, seed: int, scale: float) -> None:
    master = matrix(seed, scale)
    weight, error = requantise(empty(name), master)
    assert weight.format == name and weight.shape == (ROWS, COLUMNS)
    difference = (weight.values() - master).abs()
    inside = (weight.steps().expand(master.shape) * 1.001).clamp_min(1e-30)
    if "plain" not in name:  # without a scale, what is out of range is cut off
        assert (difference <= inside).all()
        assert error.max_steps <= 1.001
    assert error.max_abs == float(difference.max())
    assert error.rel_rms == pytest.approx(
        float(difference.square().mean().sqrt() / master.square().mean().sqrt())
    )


@every_format
def test_what_a_format_can_hold_is_kept(name: str) -> None:
    held = holding(name, matrix()).values()
    again = holding(name, held)
    if name.startswith(("fp8", "int8 one", "int8 channel", "mxfp8", "nvfp4", "Q8_0")):
        torch.testing.assert_close(again.values(), held, rtol=1e-5, atol=1e-7)
    zeros = holding(name, torch.zeros(ROWS, COLUMNS))
    assert torch.equal(zeros.values(), torch.zeros(ROWS, COLUMNS))
    assert QuantisationError.of(zeros, torch.zeros(ROWS, COLUMNS)).max_abs == 0


@every_format
def test_the_original_is_untouched_and_restores_bits(name: str) -> None:
    weight = holding(name, matrix())
    before = weight.values().clone()
    layer = Linear(weight, None)
    layer.weight, error = requantise(weight, before + 0.1)
    assert not torch.equal(layer.weight.values(), before) and "steps" in str(error)
    layer.weight = weight
    assert torch.equal(layer.weight.values(), before)


@every_format
def test_casting_a_model_leaves_its_codes_and_scales_alone(name: str) -> None:
    layer = Linear(holding(name, matrix()), torch.ones(ROWS))
    before = {key: buffer.dtype for key, buffer in layer.weight.named_buffers()}
    values = layer.weight.values()
    nn.Sequential(layer).to(torch.bfloat16)
    assert layer.bias is not None and layer.bias.dtype == torch.bfloat16
    assert {key: buffer.dtype for key, buffer in layer.weight.named_buffers()} == before
    assert torch.equal(layer.weight.values(), values)
    assert (
        layer.weight.nbytes == sum(b.nbytes for b in layer.weight.buffers()) < values.nbytes / 2.5
    )  # mxfp8 pads 24 rows to 32


@every_format
def test_a_state_dict_goes_round(name: str) -> None:
    layer, other = Linear(holding(name, matrix()), None), Linear(empty(name), None)
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other.weight.values(), layer.weight.values())


@every_format
def test_rows_are_weights_of_their_own_or_refused(name: str) -> None:
    weight = holding(name, matrix())
    if name.startswith(("nvfp4", "mxfp8")):
        with pytest.raises(ValueError, match="cannot be split into rows"):
            weight.rows(8, 16)
        return
    part = weight.rows(8, 16) if name != "fp8 block" else weight.rows(0, ROWS)
    assert torch.equal(part.values(), weight.values()[8:16] if name != "fp8 block" else weight.values())


@every_format
def test_a_layer_computes_with_the_dequantised_weight(name: str) -> None:
    weight, bias = holding(name, matrix()), torch.randn(ROWS)
    layer = Linear(weight, bias)
    x = torch.randn(2, 3, COLUMNS)
    expected = nn.functional.linear(x, weight.values(), bias)
    assert torch.equal(layer(x), expected)
    assert layer(x.bfloat16()).dtype == torch.bfloat16
    assert (layer.in_features, layer.out_features) == (COLUMNS, ROWS)
    assert torch.equal(dense_weight(layer), weight.values()) and weight_format(layer) == name


def test_plain_layers_answer_too() -> None:
    layer = nn.Linear(3, 2, dtype=torch.bfloat16)
    assert weight_format(layer) == "bfloat16"
    assert torch.equal(dense_weight(layer), layer.weight.float())
    with pytest.raises(TypeError, match="ReLU has no weight"):
        weight_format(nn.ReLU())


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[24, 256\] cannot hold \[24, 255\]"):
        requantise(empty("nvfp4"), torch.zeros(24, 255))
