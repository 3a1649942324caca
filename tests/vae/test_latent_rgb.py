from __future__ import annotations

import pytest
import torch

from tests.vae.tiny import noise
from wancore.errors import InvalidInput
from wancore.vae import latent_rgb


@pytest.mark.parametrize("channels", [16, 48])
def test_pictures_are_in_range(channels: int) -> None:
    rgb = latent_rgb(5 * noise(channels, 2, 3, 4))
    assert (rgb.shape, rgb.dtype) == ((2, 3, 4, 3), torch.float32)
    assert rgb.min() == 0 and rgb.max() == 1


@pytest.mark.parametrize(
    ("channels", "bias"), [(16, [-0.1835, -0.0868, -0.336]), (48, [0.0317, -0.0878, -0.1388])]
)
def test_an_empty_latent_shows_the_bias(channels: int, bias: list[float]) -> None:
    rgb = latent_rgb(torch.zeros(channels, 1, 1, 1))
    assert rgb.flatten().tolist() == pytest.approx([(b + 1) / 2 for b in bias])


def test_channels_are_checked() -> None:
    with pytest.raises(InvalidInput, match=r"latent.*16 or 48"):
        latent_rgb(torch.zeros(4, 1, 2, 2))
