from __future__ import annotations

import torch

from tests.vae.tiny import noise
from wancore.kernels import vae as ops
from wancore.vae.architecture import Resample, Residual, Stage
from wancore.vae.stages import fold


def stage(channels_in: int, channels_out: int, *, temporal: bool, resample: bool = True) -> Stage:
    layers = (Residual(channels_in, channels_out), Resample(channels_out, channels_out, temporal))
    return Stage(layers if resample else layers[:1])


def averaged(x: torch.Tensor, spec: Stage) -> torch.Tensor:
    frames, height, width = -(-x.shape[2] // spec.time), x.shape[3] // spec.space, x.shape[4] // spec.space
    return ops.add_averaged(torch.zeros(1, spec.channels_out, frames, height, width), x, fold(spec))


def repeated(x: torch.Tensor, spec: Stage, *, first: bool) -> torch.Tensor:
    frames = 1 if first else x.shape[2] * spec.time
    height, width = x.shape[3] * spec.space, x.shape[4] * spec.space
    return ops.add_repeated(torch.zeros(1, spec.channels_out, frames, height, width), x, fold(spec))


def blocks(x: torch.Tensor) -> torch.Tensor:
    """Mean of every 2x2 block of pixels."""
    return (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4


def test_equal_widths_average_blocks_of_pixels() -> None:
    x = noise(1, 3, 2, 4, 6)
    torch.testing.assert_close(averaged(x, stage(3, 3, temporal=False)), blocks(x))


def test_doubled_widths_average_earlier_and_later_frame_apart() -> None:
    x = noise(1, 3, 4, 4, 6)
    y = averaged(x, stage(3, 6, temporal=True))
    torch.testing.assert_close(y[:, 0::2], blocks(x[:, :, 0::2]))
    torch.testing.assert_close(y[:, 1::2], blocks(x[:, :, 1::2]))


def test_the_first_frame_has_zeros_before_it() -> None:
    x = noise(1, 3, 1, 4, 6)
    y = averaged(x, stage(3, 6, temporal=True))
    assert torch.equal(y[:, 0::2], torch.zeros(1, 3, 1, 2, 3))
    torch.testing.assert_close(y[:, 1::2], blocks(x))


def test_a_stage_without_resampling_passes_through() -> None:
    x = noise(1, 3, 2, 4, 6)
    assert torch.equal(averaged(x, stage(3, 3, temporal=False, resample=False)), x)


def test_equal_widths_duplicate_in_time_and_space() -> None:
    x = noise(1, 3, 2, 2, 3)
    y = repeated(x, stage(3, 3, temporal=True), first=False)
    expected = x.repeat_interleave(2, 2).repeat_interleave(2, 3).repeat_interleave(2, 4)
    assert torch.equal(y, expected)
    assert torch.equal(repeated(x[:, :, :1], stage(3, 3, temporal=True), first=True), expected[:, :, :1])


def test_halved_widths_take_turns_by_row() -> None:
    x = noise(1, 6, 2, 2, 3)
    y = repeated(x, stage(6, 3, temporal=False), first=False)
    columns = x.repeat_interleave(2, 4)
    assert torch.equal(y[..., 0::2, :], columns[:, 0::2])
    assert torch.equal(y[..., 1::2, :], columns[:, 1::2])
