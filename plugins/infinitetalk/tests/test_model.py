"""The small model that comes with the plugin: a mouth that follows the sound, without a download."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from tools.tiny.face.seeing import correlation, mouth_areas
from tools.tiny.face.sound import RATE, draw_speech, opening
from wancore.embedded import embedded_for
from wancore.engine import Engine
from wancore.events import Frames
from wancore.request import parse_request
from wancore.runtime.settings import Settings

SECONDS, MOST_BYTES = 0.84, 4_000_000


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(Settings(device="cpu"))


def test_it_is_small(engine: Engine) -> None:
    folder = embedded_for(engine.plugins, "infinitetalk").folder
    assert sum(file.stat().st_size for file in folder.iterdir()) < MOST_BYTES


def test_the_mouth_follows_the_sound_and_no_other(engine: Engine, tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    samples = draw_speech(rng, SECONDS)
    samples = samples / np.abs(samples).max() * 0.8
    with wave.open(str(tmp_path / "speech.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    inputs = {"audio": str(tmp_path / "speech.wav")}
    request = parse_request({"family": "infinitetalk", "inputs": inputs, "steps": 4, "seed": 4})
    frames = np.concatenate([e.frames for e in engine.generate(request) if isinstance(e, Frames)])
    assert frames.shape[1:] == (128, 128, 3) and len(frames) == round(SECONDS * 25)
    opened = mouth_areas(frames)[1:]  # the first frame is the picture's
    others = [opening(draw_speech(rng, SECONDS), len(frames))[1:] for _ in range(40)]
    assert correlation(opened, opening(samples, len(frames))[1:]) >= 0.8
    assert abs(np.mean([correlation(opened, other) for other in others])) < 0.25
