"""Writing what is heard with an attempt's frames."""

from __future__ import annotations

import os
import wave
from pathlib import Path

import numpy as np

from wancore.events import SoundTrack


def write_wav(path: Path, sound: SoundTrack) -> int:
    """16-bit WAV, on the disk when this returns; its size in bytes."""
    samples = (np.clip(sound.samples, -1, 1) * 32767).round().astype("<i2")
    with path.open("wb") as file:
        with wave.open(file, "wb") as container:
            container.setnchannels(1)
            container.setsampwidth(2)
            container.setframerate(sound.rate)
            container.writeframes(samples.tobytes())
        file.flush()
        os.fsync(file.fileno())
    return path.stat().st_size
