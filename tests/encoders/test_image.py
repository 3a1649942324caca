from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers import CLIPImageProcessor

from wancore.encoders.image import DEVIATION, MEAN, crop_center, crop_disabled, normalised, stretched

sides = st.integers(5, 60)


def picture(height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(height * 100 + width)
    return torch.randint(0, 256, (3, height, width), generator=generator) / 255.0


@given(height=sides, width=sides, size=sides)
@settings(deadline=None, max_examples=30)
def test_every_way_gives_the_square_asked_for(height: int, width: int, size: int) -> None:
    image = picture(height, width)
    for prepare in (stretched, crop_center, crop_disabled):
        assert prepare(image, size).shape == (3, size, size)


@given(level=st.integers(0, 255), height=sides, width=sides)
@settings(deadline=None, max_examples=20)
def test_a_flat_picture_stays_flat(level: int, height: int, width: int) -> None:
    flat = torch.full((3, height, width), level / 255)
    expected = normalised(torch.full((3, 21, 21), level / 255))
    for prepared in (crop_center(flat, 21), crop_disabled(flat, 21), stretched(flat * 2 - 1, 21)):
        torch.testing.assert_close(prepared, expected, atol=1e-5, rtol=0)


def test_a_picture_of_the_right_size_is_only_normalised() -> None:
    image = picture(21, 21)
    for prepared in (crop_center(image, 21), crop_disabled(image, 21), stretched(image * 2 - 1, 21)):
        torch.testing.assert_close(prepared, normalised(image), atol=1e-5, rtol=0)


def test_upstream_s_way_does_not_filter_and_comfy_s_does() -> None:
    """Shrinking a fine checkerboard: filtering greys it out, sampling does not."""
    board = (torch.arange(96)[:, None] + torch.arange(96)) % 2
    image = board.float().expand(3, -1, -1)
    assert crop_disabled(image, 17)[0].std() < 0.1 < stretched(image * 2 - 1, 17)[0].std()


def test_centre_crop_agrees_with_the_library_s_processor() -> None:
    """Its resize works on 8-bit pictures, so single levels may differ."""
    image = picture(40, 80)
    eight_bit = (image * 255).round().byte().permute(1, 2, 0).numpy()
    processor = CLIPImageProcessor(
        size={"shortest_edge": 21},
        crop_size={"height": 21, "width": 21},
        image_mean=list(MEAN),
        image_std=list(DEVIATION),
    )
    expected = processor(Image.fromarray(eight_bit), return_tensors="pt")["pixel_values"][0]
    difference = (crop_center(image, 21) - expected).abs() * min(DEVIATION) * 255
    assert difference.max() < 3.5
    assert difference.mean() < 0.5
