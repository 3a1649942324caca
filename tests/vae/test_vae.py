from __future__ import annotations

import pytest
import torch

from tests.vae.tiny import make_vae, noise, wan_2_1
from wancore.errors import InvalidInput
from wancore.vae import LatentStatistics, Vae
from wancore.vae.network import VaeNetwork

VERSIONS = ("2.1", "2.2")


@pytest.mark.parametrize(("version", "stride"), [("2.1", 8), ("2.2", 16)])
def test_shapes_and_ranges(version: str, stride: int) -> None:
    vae = make_vae(version)
    assert (vae.latent_channels, vae.temporal_stride, vae.spatial_stride) == (16, 4, stride)
    latent = vae.encode(noise(3, 9, 2 * stride, stride))
    assert (latent.shape, latent.dtype) == ((16, 3, 2, 1), torch.float32)
    video = vae.decode(10 * latent)
    assert (video.shape, video.dtype) == ((3, 9, 2 * stride, stride), torch.float32)
    assert video.abs().max() == 1
    assert vae.decode(10 * latent, clamp=False).abs().max() > 1


@pytest.mark.parametrize("version", VERSIONS)
def test_statistics_normalise(version: str) -> None:
    vae = make_vae(version)
    raw = Vae(vae.network, LatentStatistics.identity(16))
    video = noise(3, 5, 16, 16)
    mean, std = vae.latents_mean.view(-1, 1, 1, 1), vae.latents_std.view(-1, 1, 1, 1)
    torch.testing.assert_close(vae.encode(video), (raw.encode(video) - mean) / std)
    latent = noise(16, 2, 2, 2)
    torch.testing.assert_close(vae.decode(latent), raw.decode(latent * std + mean))


@pytest.mark.parametrize("version", VERSIONS)
def test_later_frames_do_not_change_earlier_ones(version: str) -> None:
    vae = make_vae(version)
    video, latent = noise(3, 9, 16, 16), noise(16, 3, 2, 2)
    assert torch.equal(vae.encode(video)[:, :2], vae.encode(video[:, :5]))
    assert torch.equal(vae.decode(latent)[:, :5], vae.decode(latent[:, :2]))


@pytest.mark.parametrize("frames", [2, 3, 4, 6, 8])
def test_frames_after_the_last_group_are_refused_or_left_out(frames: int) -> None:
    vae = make_vae("2.1")
    video = noise(3, frames, 8, 8)
    with pytest.raises(InvalidInput, match=r"video.*1 \+ 4k frames"):
        vae.encode(video)
    whole = 1 + (frames - 1) // 4 * 4
    assert torch.equal(vae.encode(video, truncate=True), vae.encode(video[:, :whole]))


@pytest.mark.parametrize(("version", "height", "width"), [("2.1", 8, 12), ("2.1", 20, 8), ("2.2", 24, 16)])
def test_sides_must_fit_the_stride(version: str, height: int, width: int) -> None:
    vae = make_vae(version)
    for encode in (vae.encode, vae.encode_tiled):
        with pytest.raises(InvalidInput, match=f"multiples of {vae.spatial_stride}"):
            encode(noise(3, 1, height, width))


def test_nothing_is_tracked_for_gradients() -> None:
    vae = make_vae("2.1")
    vae.network.requires_grad_(True)
    video = vae.decode(noise(16, 2, 1, 1))
    assert not video.requires_grad
    video.mul_(0.5)  # and results may be changed in place
    assert not vae.encode(video).requires_grad


@pytest.mark.parametrize("version", VERSIONS)
def test_half_precision_stays_close(version: str) -> None:
    full, half = make_vae(version), make_vae(version)
    half.network.to(torch.bfloat16)
    assert half.dtype == torch.bfloat16
    latent = full.encode(noise(3, 5, 16, 32))
    rough = half.encode(noise(3, 5, 16, 32))
    assert rough.dtype == torch.float32
    assert (rough - latent).abs().max() < 0.05 * latent.abs().max()
    video, rough = full.decode(latent, clamp=False), half.decode(latent, clamp=False)
    assert rough.dtype == torch.float32
    assert (rough - video).abs().max() < 0.05 * video.abs().max()


def test_statistics_must_match_the_channels() -> None:
    with torch.device("meta"):
        network = VaeNetwork(wan_2_1())
    with pytest.raises(InvalidInput, match="16 means"):
        Vae(network, LatentStatistics.identity(48))


def test_deviations_must_be_positive() -> None:
    with pytest.raises(InvalidInput, match="latents_std"):
        LatentStatistics((0.0, 0.0), (1.0, 0.0))
