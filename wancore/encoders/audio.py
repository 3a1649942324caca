"""Steps that the audio encoders share. Waveforms are mono at 16 kHz."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange

from wancore.errors import InvalidInput

SAMPLE_RATE = 16_000
FEATURE_RATE = 50  # features per second of both encoders: one every 320 samples


def normalise_waveform(waveform: torch.Tensor) -> torch.Tensor:
    """Samples [S] with zero mean and unit variance over the clip: the processor option `do_normalize`."""
    variance = waveform.var(correction=0)
    return (waveform - waveform.mean()) / (variance + 1e-7).sqrt()


def resample_frames(features: torch.Tensor, frames: int) -> torch.Tensor:
    """Features [T, ...] -> [frames, ...] over the same time, linearly; first and last stay first and last."""
    if frames < 1:
        raise InvalidInput("frames", frames, "at least 1")
    rows = rearrange(features.flatten(1), "t c -> 1 c t")
    rows = F.interpolate(rows, size=frames, mode="linear", align_corners=True)
    return rearrange(rows, "1 c t -> t c").reshape(frames, *features.shape[1:])


def check_waveform(waveform: torch.Tensor, shortest: int) -> None:
    """Raises `InvalidInput` for anything but mono floating point samples, at least `shortest` of them."""
    if waveform.ndim != 1 or not waveform.is_floating_point() or len(waveform) < shortest:
        given = f"{waveform.dtype} {list(waveform.shape)}"
        raise InvalidInput("audio", given, f"mono floating point samples at 16 kHz, at least {shortest}")
