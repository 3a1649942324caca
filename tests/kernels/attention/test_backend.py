"""What backends declare is what they are asked for."""

from __future__ import annotations

import pytest
import torch

from wancore.kernels.attention.backend import BF16, FP16, FP32, Backend, Call
from wancore.kernels.attention.choice import BACKENDS
from wancore.kernels.attention.pytorch import grouped_sdpa

BY_NAME = {backend.name: backend for backend in BACKENDS}
HOPPER, ADA, AMPERE, BLACKWELL = (9, 0), (8, 9), (8, 0), (10, 0)


def call(capability=HOPPER, dtype=BF16, head_dim=128, varlen=False, device="cuda") -> Call:
    return Call(device, capability, dtype, head_dim, varlen)


@pytest.mark.parametrize(
    ("name", "asked", "words"),
    [
        ("fa3", call(), ""),
        ("fa3", call(varlen=True), ""),
        ("fa3", call(ADA), "needs compute capability 9.x, this GPU has 8.9"),
        ("fa3", call(BLACKWELL), "needs compute capability 9.x, this GPU has 10.0"),
        ("fa3", call(dtype=FP16), "takes bfloat16, this is float16"),
        ("fa3", call(device="cpu"), "runs on cuda, not on cpu"),
        ("cudnn", call(dtype=FP32), "takes bfloat16 and float16, this is float32"),
        ("cudnn", call(head_dim=256), "takes heads of up to 128"),
        ("flash", call(AMPERE), ""),
        ("flash", call((7, 5)), "needs compute capability 8.0 or newer, this GPU has 7.5"),
        ("flash", call(head_dim=12), "in multiples of 8; these are 12 wide"),
        ("flash", call(varlen=True), "takes no groups of different lengths"),
        ("efficient", call(dtype=FP32, head_dim=384), ""),
        ("sdpa", call(dtype=FP32, head_dim=7, varlen=True, device="cpu"), ""),
        ("sage", call(head_dim=256), "takes heads of up to 128"),
    ],
)
def test_refusals(name, asked, words):
    refusal = BY_NAME[name].refusal(asked)
    assert words in refusal
    assert bool(refusal) == bool(words)


def test_only_exact_backends_are_chosen_by_themselves():
    assert {b.name for b in BACKENDS if b.rank is not None and not b.exact} == set()
    assert len({b.name for b in BACKENDS}) == len(BACKENDS)


def test_a_range_is_shown_as_people_say_it():
    backend = Backend("x", "", lambda: grouped_sdpa, lowest=(8, 0), below=(8, 9))
    assert "needs compute capability 8.0 to below 8.9" in backend.refusal(call())


def test_a_call_is_read_off_a_tensor():
    assert Call.of(torch.zeros(1, 2, 3, 8)) == Call("cpu", (0, 0), FP32, 8)
