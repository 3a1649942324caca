from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.vae.tiny import noise, randomise
from wancore.vae.history import History
from wancore.vae.layers import CausalConv3d, ResidualBlock, RMSNorm


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e4])
def test_rms_norm_is_the_formula(scale: float) -> None:
    norm = randomise(RMSNorm(6, axes=3))
    x = noise(2, 6, 3, 4, 5) * scale
    wide = x.double()
    length = wide.square().sum(1, keepdim=True).sqrt().clamp_min(1e-12)
    expected = wide / length * 6**0.5 * norm.gamma.double()
    torch.testing.assert_close(norm(x).double(), expected, rtol=1e-5, atol=1e-6)


def test_rms_norm_of_nothing_is_nothing() -> None:
    assert torch.equal(RMSNorm(6, axes=2)(torch.zeros(1, 6, 2, 2)), torch.zeros(1, 6, 2, 2))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rms_norm_keeps_its_statistics_in_float32(dtype: torch.dtype) -> None:
    # 4096 squares of 200 overflow float16 and lose their sum in bfloat16.
    norm = RMSNorm(4096, axes=3).requires_grad_(False).to(dtype)
    nn.init.ones_(norm.gamma)
    y = norm(torch.full((1, 4096, 1, 1, 1), 200.0, dtype=dtype))
    assert torch.equal(y, torch.ones_like(y))


@settings(deadline=None, max_examples=20)
@given(frames=st.integers(2, 6), changed=st.integers(0, 5))
def test_no_frame_sees_a_later_one(frames: int, changed: int) -> None:
    changed = changed % frames
    block = randomise(ResidualBlock(3, 4))
    x = noise(1, 3, frames, 4, 4)
    other = x.clone()
    other[:, :, changed] += 1
    y, z = block(x, History()), block(other, History())
    assert torch.equal(y[:, :, :changed], z[:, :, :changed])
    assert not torch.allclose(y[:, :, changed], z[:, :, changed])


@settings(deadline=None, max_examples=20)
@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_chunks_give_what_the_whole_gives(sizes: list[int]) -> None:
    conv = randomise(CausalConv3d(3, 5, (3, 3, 3)))
    x = noise(2, 3, sum(sizes), 4, 6)
    history = History()
    parts = [conv(chunk, history) for chunk in x.split(sizes, dim=2)]
    torch.testing.assert_close(torch.cat(parts, 2), conv(x, History()))
    assert history.slots[conv].shape == (2, 3, 2, 4, 6)


def test_history_holds_no_more_than_its_frames() -> None:
    conv = randomise(CausalConv3d(3, 5, (3, 3, 3)))
    history = History()
    conv(noise(1, 3, 40, 4, 6), history)
    assert history.slots[conv].untyped_storage().nbytes() == 4 * 3 * 2 * 4 * 6
