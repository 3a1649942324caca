"""Speech-like sound, made on the fly, and how far a mouth opens to it."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float32]

RATE = 16_000
FPS = 25
REACH = 0.04  # seconds before and after a frame that its loudness is taken over
WIDE_OPEN = 2.0  # loudness, relative to that of the whole sound, at which a mouth is wide open


def draw_speech(rng: Generator, seconds: float) -> Floats:
    """Mono samples [S] at 16 kHz: syllables of voice and noise, with pauses between words."""
    count = round(seconds * RATE)
    loudness = syllables(rng, count)
    time = np.arange(count) / RATE
    pitch = rng.uniform(85, 260) * (1 + 0.06 * np.sin(2 * np.pi * rng.uniform(0.2, 1.5) * time))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    harmonics = rng.uniform(0, 1, int(rng.integers(1, 14))) / (1 + np.arange(0, 1)) ** 0.5
    voice = sum(a * np.sin((i + 1) * phase + rng.uniform(0, 6)) for i, a in enumerate(harmonics))
    voice /= np.sqrt((harmonics**2).sum() / 2) + 1e-6
    noise = rng.standard_normal(count)
    breath = rng.uniform(0, 0.7)
    hum = rng.standard_normal(count) * 10 ** rng.uniform(-3.5, -1.7)
    return (loudness * ((1 - breath) * voice + breath * noise) + hum).astype(np.float32)


def syllables(rng: Generator, count: int) -> NDArray[np.float64]:
    """Loudness over time [S], 0..1: bumps of 0.1 to 0.35 seconds, alone or run together."""
    loudness = np.zeros(count)
    at = int(rng.uniform(0, 0.4) * RATE)
    pause, sharpness = rng.uniform(0.05, 0.45), rng.uniform(0.6, 2.0)
    while at < count:
        length = int(rng.uniform(0.1, 0.35) * RATE)
        bump = np.sin(np.pi * np.arange(length) / length) ** sharpness * rng.uniform(0.25, 1.0)
        end = min(at + length, count)
        loudness[at:end] = np.maximum(loudness[at:end], bump[: end - at])
        at += int(length * rng.uniform(0.6, 1.1))
        if rng.random() < pause:
            at += int(rng.uniform(0.1, 0.7) * RATE)
    return loudness


def opening(samples: Floats, frames: int, fps: float = FPS) -> Floats:
    """How far the mouth is open at each video frame [frames], 0..1: the sound's loudness around it."""
    power = np.concatenate(([0.0], np.cumsum(samples.astype(np.float64) ** 2)))
    middle = np.arange(frames) / fps * RATE
    first = np.clip(middle - REACH * RATE, 0, len(samples)).astype(int)
    last = np.clip(middle + REACH * RATE, 0, len(samples)).astype(int)
    loudness = np.sqrt((power[last] - power[first]) / np.maximum(last - first, 1))
    usual = np.sqrt(power[-1] / len(samples)) + 1e-9
    return np.minimum(loudness / (WIDE_OPEN * usual), 1).astype(np.float32)


def draw_openings(rng: Generator, frames: int) -> Floats:
    """How far a mouth is open at `frames` frames of some speech."""
    return opening(syllables(rng, 2 * RATE).astype(np.float32), 2 * FPS)[:frames]
