"""GGUF types against llama.cpp's own Python package: any bytes, bit for bit."""

from __future__ import annotations

import warnings

import gguf
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wancore.quant.ggml import CHUNK, GgmlWeight
from wancore.quant.ggml_types import GGML_TYPES

every_type = pytest.mark.parametrize("name", GGML_TYPES)


@every_type
@given(seed=st.integers(0, 2**31))
@settings(deadline=None, max_examples=15)
def test_any_bytes_are_dequantised_to_the_same_bits(name: str, seed: int) -> None:
    kind = GGML_TYPES[name]
    raw = np.random.default_rng(seed).integers(0, 256, (16, kind.size), dtype=np.uint8)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        expected = gguf.dequantize(raw, gguf.GGMLQuantizationType[name])
    got = GgmlWeight(name, kind, torch.from_numpy(raw), (16, kind.elements)).values().numpy()
    finite = np.isfinite(expected)
    assert np.array_equal(got[finite].view(np.uint32), expected[finite].view(np.uint32))
    assert np.array_equal(np.isfinite(got), finite)


@every_type
def test_what_is_packed_is_read_by_llama_cpp(name: str) -> None:
    kind = GGML_TYPES[name]
    values = torch.randn(64, kind.elements, generator=torch.Generator().manual_seed(1)) * 0.1
    blocks = kind.pack(values)
    assert blocks.shape == (64, kind.size) and blocks.dtype == torch.uint8
    expected = gguf.dequantize(blocks.numpy(), gguf.GGMLQuantizationType[name])
    got = GgmlWeight(name, kind, blocks, (64, kind.elements)).values()
    assert np.array_equal(got.numpy(), expected)
    assert (gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]]) == (kind.elements, kind.size)


def test_large_weights_are_unpacked_in_chunks() -> None:
    kind = GGML_TYPES["Q4_0"]
    count = CHUNK // kind.elements + 3
    raw = torch.randint(0, 100, (count, kind.size), dtype=torch.uint8)
    weight = GgmlWeight("Q4_0", kind, raw, (count, kind.elements))
    assert torch.equal(weight.values()[-3:], weight.rows(count - 3, count).values())
    assert torch.equal(weight.dequantised(torch.bfloat16), weight.values().bfloat16())


def test_bytes_that_do_not_fit_the_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="bytes of Q8_0 do not hold"):
        GgmlWeight("Q8_0", GGML_TYPES["Q8_0"], torch.zeros(3, 34, dtype=torch.uint8), (2, 32))
