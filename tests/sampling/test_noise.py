from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wancore.errors import InvalidInput
from wancore.sampling.noise import LARGEST_SEED, NoiseSource, noised

seeds = st.integers(0, LARGEST_SEED)


@settings(deadline=None, max_examples=30)
@given(seed=seeds, window=st.integers(0, 5))
def test_a_seed_gives_its_noise_again(seed, window):
    first, second = NoiseSource(seed, window), NoiseSource(seed, window)
    for shape in ((2, 3), (4,)):
        drawn = first.draw(shape)
        assert drawn.dtype == torch.float32
        assert drawn.device.type == "cpu"
        assert torch.equal(drawn, second.draw(shape))


@settings(deadline=None, max_examples=30)
@given(seed=seeds)
def test_the_first_window_is_torchs_own_stream(seed):
    generator = torch.Generator().manual_seed(seed)
    expected = torch.randn(2, 5, generator=generator), torch.randn(3, generator=generator)
    source = NoiseSource(seed)
    assert torch.equal(source.draw((2, 5)), expected[0])
    assert torch.equal(source.draw((3,)), expected[1])


@settings(deadline=None, max_examples=30)
@given(seed=seeds, extra=st.integers(0, 4))
def test_what_one_window_draws_does_not_reach_another(seed, extra):
    alone = NoiseSource(seed, 1).draw((8,))
    busy = NoiseSource(seed, 0)
    for _ in range(extra):
        busy.draw((8,))
    assert torch.equal(NoiseSource(seed, 1).draw((8,)), alone)
    assert not torch.equal(NoiseSource(seed, 0).draw((8,)), alone)
    assert not torch.equal(NoiseSource(seed, 2).draw((8,)), alone)


@pytest.mark.parametrize("seed", [-1, 2**63, 1.0, "7", True, None])
def test_another_seed_is_refused(seed):
    with pytest.raises(InvalidInput, match="seed"):
        NoiseSource(seed)


def test_noise_levels_run_from_clean_to_noise():
    clean, noise = torch.randn(4), torch.randn(4)
    assert torch.equal(noised(clean, noise, 0.0), clean)
    assert torch.equal(noised(clean, noise, 1.0), noise)
