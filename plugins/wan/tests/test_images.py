"""First and last frames."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from wancore_wan.images import covered, fitted_like, stretched, to_pixels
from wancore_wan.masks import known_frames


def picture(height: int, width: int) -> torch.Tensor:
    return torch.randint(0, 256, (height, width, 3), dtype=torch.uint8)


def test_pixels_cover_the_range():
    image = torch.tensor([[[0, 127, 255]]], dtype=torch.uint8)
    assert to_pixels(image).flatten().tolist() == pytest.approx([-1, -1 / 255, 1])


def test_a_last_frame_of_the_same_size_is_treated_like_the_first():
    last = to_pixels(picture(40, 60))
    assert torch.equal(fitted_like(last, (40, 60), 32, 48), stretched(last, 32, 48))


@given(
    first=st.tuples(st.integers(8, 90), st.integers(8, 90)),
    last=st.tuples(st.integers(8, 90), st.integers(8, 90)),
)
@settings(deadline=None, max_examples=50)
def test_a_last_frame_of_any_size_fills_the_video(first, last):
    fitted = fitted_like(torch.ones(3, *last), first, 32, 48)
    assert fitted.shape == (3, 32, 48)
    assert torch.allclose(fitted, torch.ones(()), atol=1e-4), "no border comes in"


@given(height=st.integers(8, 120), width=st.integers(8, 120))
@settings(deadline=None, max_examples=50)
def test_covering_leaves_no_border(height, width):
    image = torch.full((height, width, 3), 200, dtype=torch.uint8)
    pixels = covered(image, 64, 96)
    assert pixels.shape == (3, 64, 96)
    assert torch.allclose(pixels, pixels[0, 0, 0])


def test_covering_keeps_the_centre():
    image = torch.zeros(64, 200, 3, dtype=torch.uint8)
    image[:, 90:110] = 255
    assert covered(image, 64, 64)[0, 32, 32] == 1 and covered(image, 64, 64)[0, 32, 0] == -1


@pytest.mark.parametrize("frames", [1, 5, 81])
def test_masks(frames):
    first = known_frames(frames, 2, 3)
    assert first.shape == (4, 1 + (frames - 1) // 4, 2, 3)
    assert first[:, 0].all() and not first[:, 1:].any()
    both = known_frames(frames, 2, 3, last=True)
    assert both[-1, -1].all() and (frames == 1 or not both[:3, -1].any())
