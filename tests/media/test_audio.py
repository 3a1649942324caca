from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wancore.errors import InvalidInput
from wancore.media.audio import read_audio, resampled


def tone(seconds: float, rate: int, hertz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def encoded(path: Path, codec: str, channels: np.ndarray, rate: int, layout: str = "mono") -> Path:
    """`channels` [C, S] as a file of the container that the suffix says."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(channels), format="fltp", layout=layout)
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def written(path: Path, samples: np.ndarray, rate: int) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


def test_same_rate_keeps_the_samples(tmp_path):
    samples = tone(0.3, 16000)
    read = read_audio(written(tmp_path / "a.wav", samples, 16000))
    assert read.dtype == np.float32 and read.shape == samples.shape
    np.testing.assert_allclose(read, samples, atol=1e-4)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_resampling_keeps_the_tone(rate, tmp_path):
    read = read_audio(written(tmp_path / "a.wav", tone(0.5, rate), rate))
    assert len(read) == 8000
    np.testing.assert_allclose(read[1000:7000], tone(0.5, 16000)[1000:7000], atol=5e-3)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.flac", "flac"), ("a.mp3", "libmp3lame"), ("a.m4a", "aac"), ("a.mkv", "libopus")]
)
def test_formats(name, codec, tmp_path):
    read = read_audio(encoded(tmp_path / name, codec, tone(0.6, 48000)[None], 48000))
    assert abs(len(read) - 9600) < 1600
    strength = np.abs(np.fft.rfft(read))
    assert abs(strength.argmax() * 16000 / len(read) - 440) < 5


def test_channels_are_averaged(tmp_path):
    left, right = tone(0.2, 16000), tone(0.2, 16000, 1000)
    file = encoded(tmp_path / "a.wav", "pcm_f32le", np.stack((left, right)), 16000, "stereo")
    np.testing.assert_allclose(read_audio(file), (left + right) / 2, atol=1e-6)


@given(
    st.integers(1, 5000),
    st.sampled_from([8000, 11025, 44100, 48000]),
    st.lists(st.integers(1, 900), max_size=5),
)
@settings(max_examples=25)
def test_length_follows_the_rates(count, rate, cuts):
    """However the sound comes in, it is as long as it was."""
    samples = tone(count / rate + 1, rate)[:count]
    parts = np.split(samples, [c for c in np.cumsum(cuts) if c < count])
    made = resampled(parts, rate, 16000)
    assert len(made) == -(-count * 16000 // rate)
    np.testing.assert_allclose(made, resampled([samples], rate, 16000), atol=1e-5)


def test_missing_file(tmp_path):
    with pytest.raises(InvalidInput, match="no such file"):
        read_audio(tmp_path / "none.wav", field="inputs.audio")


def test_file_that_is_none(tmp_path):
    path = tmp_path / "a.wav"
    path.write_text("this is no sound")
    with pytest.raises(InvalidInput, match=r"inputs\.audio.*cannot be decoded") as caught:
        read_audio(path, field="inputs.audio")
    assert str(path) in str(caught.value)


def test_video_without_sound(tmp_path):
    from wancore.media.mp4 import Mp4Writer

    path = tmp_path / "silent.mp4"
    with Mp4Writer(path, 8, (16, 16)) as writer:
        writer.write(np.zeros((2, 16, 16, 3), np.uint8))
    with pytest.raises(InvalidInput, match="no audio stream"):
        read_audio(path)


def test_empty_file(tmp_path):
    with pytest.raises(InvalidInput, match="no sound"):
        read_audio(written(tmp_path / "a.wav", np.zeros(0, np.float32), 16000))


def test_playlists_are_not_followed(tmp_path):
    written(tmp_path / "real.wav", tone(0.2, 16000), 16000)
    playlist = tmp_path / "list.m3u8"
    playlist.write_text("#EXTM3U\n#EXTINF:1,\nreal.wav\n#EXT-X-ENDLIST\n")
    with pytest.raises(InvalidInput):
        read_audio(playlist)
