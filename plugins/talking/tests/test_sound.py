import numpy as np
import pyloudnorm
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from wancore_talking.loudness import normalised
from wancore_talking.tracks import arranged

from plugins.talking.tests.tiny import speech


@pytest.mark.parametrize("gain", [0.02, 0.5, 3.0])
def test_one_loudness_whatever_the_level(gain):
    made = normalised(torch.from_numpy(speech(1.5) * np.float32(gain)), 16_000)
    assert pyloudnorm.Meter(16_000).integrated_loudness(made.numpy()) == pytest.approx(-23, abs=0.1)


def test_silence_stays_silence():
    assert not normalised(torch.zeros(16_000), 16_000).any()


@given(st.integers(1, 50), st.integers(1, 50))
def test_one_after_the_other(first, second):
    one, other = torch.ones(first), torch.full((second,), 2.0)
    tracks = arranged([one, other], "add", 16_000)
    assert torch.equal(tracks.speech[0], torch.cat((one, torch.zeros(second))))
    assert torch.equal(tracks.speech[1], torch.cat((torch.zeros(first), other)))
    assert torch.equal(tracks.mix, torch.cat((one, other)))


def test_at_the_same_time():
    tracks = arranged([torch.ones(3), torch.ones(5)], "para", 16_000)
    assert tracks.mix.tolist() == [2, 2, 2, 1, 1]
    assert len(tracks.lasting(8).mix) == 8 and tracks.lasting(2).mix.tolist() == [2, 2]
