from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from wancore.errors import InvalidInput
from wancore.media import Mp4Writer, read_video
from wancore.media.audio import read_audio
from wancore.media.sound import Sound

RATE = 16000


def tone(seconds: float) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * 300 * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def write(path, frames: int, sound: Sound | None, fps: int = 25, at_once: int = 7):
    pictures = np.full((frames, 32, 32, 3), 90, np.uint8)
    with Mp4Writer(path, fps, (32, 32), sound=sound) as writer:
        for start in range(0, frames, at_once):
            writer.write(pictures[start : start + at_once])
    return path


def test_sound_is_heard_where_it_belongs(tmp_path):
    samples = np.concatenate((np.zeros(RATE, np.float32), tone(1.0)))
    path = write(tmp_path / "a.mp4", 50, Sound(samples, RATE))
    assert len(read_video(path).frames) == 50
    heard = read_audio(path)
    assert abs(len(heard) - 2 * RATE) <= 2048
    assert np.abs(heard[: RATE - 2048]).max() < 0.02
    assert np.abs(heard[RATE + 2048 : 2 * RATE - 2048]).max() > 0.3


@pytest.mark.parametrize("seconds", [0.5, 3.0])
def test_sound_is_no_longer_than_the_pictures(seconds, tmp_path):
    path = write(tmp_path / "a.mp4", 25, Sound(tone(seconds), RATE))
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        length = float(audio.duration * audio.time_base)
        assert length == pytest.approx(min(seconds, 1.0), abs=0.13)
        assert video.duration * video.time_base == Fraction(1)


def test_without_sound_there_is_no_track(tmp_path):
    with av.open(str(write(tmp_path / "a.mp4", 5, None))) as container:
        assert not container.streams.audio


def test_sound_of_another_form():
    with pytest.raises(InvalidInput, match="mono"):
        Sound(np.zeros((2, 5), np.float32), RATE)
