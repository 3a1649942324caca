"""Between 8-bit frames and float video."""

from __future__ import annotations

import pytest
import torch

from wancore.media import from_uint8, to_uint8


def test_every_value_survives_the_way_there_and_back() -> None:
    frames = torch.arange(256, dtype=torch.uint8).repeat(3).reshape(4, 8, 8, 3)
    assert torch.equal(to_uint8(from_uint8(frames)), frames)


def test_axes() -> None:
    video = torch.rand(3, 2, 4, 5) * 2 - 1
    frames = to_uint8(video)
    assert frames.shape == (2, 4, 5, 3)
    assert frames.dtype == torch.uint8
    assert frames.is_contiguous()
    assert abs(float(frames[1, 2, 3, 0]) - float((video[0, 1, 2, 3] + 1) * 127.5)) <= 0.5


@pytest.mark.parametrize(
    ("x", "level"), [(-1.0, 0), (1.0, 255), (0.0, 128), (-3.0, 0), (1.5, 255), (0.9999, 255)]
)
def test_levels(x: float, level: int) -> None:
    assert to_uint8(torch.full((3, 1, 1, 1), x)).unique().tolist() == [level]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    video = (torch.rand(3, 1, 8, 8) * 2 - 1).to(dtype)
    assert torch.equal(to_uint8(video), to_uint8(video.float()))


@pytest.mark.parametrize("level", range(0, 256, 51))
def test_inverse_scale(level: int) -> None:
    value = from_uint8(torch.full((1, 1, 1, 3), level, dtype=torch.uint8))
    assert value.dtype == torch.float32
    assert torch.allclose(value, torch.tensor(level / 255 * 2 - 1))
