from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import Wav2Vec2FeatureExtractor

from wancore.encoders import normalise_waveform, resample_frames
from wancore.encoders.audio import check_waveform
from wancore.errors import InvalidInput


@given(samples=st.integers(2, 3000), gain=st.floats(0.01, 5), offset=st.floats(-1, 1))
@settings(deadline=None, max_examples=30)
def test_normalising_agrees_with_the_library_s_processor(samples: int, gain: float, offset: float) -> None:
    waveform = torch.randn(samples, generator=torch.Generator().manual_seed(samples)) * gain + offset
    extractor = Wav2Vec2FeatureExtractor(do_normalize=True)
    expected = extractor(waveform.numpy(), sampling_rate=16_000, return_tensors="pt")["input_values"][0]
    torch.testing.assert_close(normalise_waveform(waveform), expected, atol=1e-4, rtol=1e-4)


def test_silence_stays_silence() -> None:
    assert normalise_waveform(torch.zeros(100)).abs().max() == 0


@given(rows=st.integers(2, 40), frames=st.integers(2, 40))
@settings(deadline=None, max_examples=40)
def test_a_straight_line_stays_one(rows: int, frames: int) -> None:
    line = torch.linspace(-3, 5, rows)[:, None, None] * torch.ones(1, 2, 3)
    resampled = resample_frames(line, frames)
    expected = torch.linspace(-3, 5, frames)[:, None, None].expand(-1, 2, 3)
    torch.testing.assert_close(resampled, expected, atol=1e-5, rtol=1e-5)


@given(rows=st.integers(1, 20))
@settings(deadline=None, max_examples=10)
def test_as_many_frames_as_rows_change_nothing(rows: int) -> None:
    features = torch.randn(rows, 5)
    torch.testing.assert_close(resample_frames(features, rows), features)


def test_no_frames_are_refused() -> None:
    with pytest.raises(InvalidInput, match="frames: got 0; accepted: at least 1"):
        resample_frames(torch.zeros(3, 2), 0)


@pytest.mark.parametrize(
    "waveform", [torch.zeros(2, 500), torch.zeros(399), torch.zeros(500, dtype=torch.int16)]
)
def test_anything_but_mono_floats_is_refused(waveform: torch.Tensor) -> None:
    with pytest.raises(InvalidInput, match=r"audio: got .*; accepted: mono .* at least 400"):
        check_waveform(waveform, 400)
