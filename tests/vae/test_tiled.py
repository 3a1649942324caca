from __future__ import annotations

import pytest
import torch

from tests.vae.tiny import make_vae, noise
from wancore.errors import InvalidInput
from wancore.vae.tiling import Tiling

VERSIONS = ("2.1", "2.2")


@pytest.mark.parametrize("version", VERSIONS)
def test_one_tile_is_the_whole_picture(version: str) -> None:
    vae = make_vae(version)
    tiling = Tiling((6, 6), (3, 3))
    latent = noise(16, 3, 3, 5)
    torch.testing.assert_close(vae.decode_tiled(latent, tiling), vae.decode(latent))
    video = noise(3, 5, 2 * vae.spatial_stride, 3 * vae.spatial_stride)
    torch.testing.assert_close(vae.encode_tiled(video, tiling), vae.encode(video))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_corner_of_a_tiling_is_its_first_tile(version: str) -> None:
    """Rows are rows and columns columns, and each in its unit."""
    vae = make_vae(version)
    side = vae.spatial_stride
    tiling = Tiling((2, 4), (1, 3))
    latent = noise(16, 2, 4, 7)
    tiled = vae.decode_tiled(latent, tiling)
    assert tiled.shape == (3, 5, 4 * side, 7 * side)
    corner = vae.decode(latent[:, :, :2, :4])[:, :, : 1 * side, : 3 * side]
    torch.testing.assert_close(tiled[:, :, : 1 * side, : 3 * side], corner)
    video = noise(3, 5, 4 * side, 7 * side)
    encoded = vae.encode_tiled(video, tiling)
    assert encoded.shape == (16, 2, 4, 7)
    corner = vae.encode(video[:, :, : 2 * side, : 4 * side])[:, :, :1, :3]
    torch.testing.assert_close(encoded[:, :, :1, :3], corner)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_stream_gives_what_the_whole_gives(version: str) -> None:
    vae = make_vae(version)
    tiling = Tiling((2, 3), (1, 2))
    latent = noise(16, 4, 3, 5)
    stream = vae.tiled_decoder_stream(tiling)
    for _ in range(2):
        parts = [stream.push(part) for part in latent.split([1, 2, 1], dim=1)]
        assert [part.shape[1] for part in parts] == [1, 8, 4]
        assert torch.equal(torch.cat(parts, 1), vae.decode_tiled(latent, tiling))
        stream.reset()


def test_the_stream_keeps_its_size() -> None:
    stream = make_vae("2.1").tiled_decoder_stream(Tiling((2, 2), (1, 1)))
    stream.push(noise(16, 1, 3, 4))
    with pytest.raises(InvalidInput, match=r"latent.*\[3, 4\]"):
        stream.push(noise(16, 1, 4, 3))


def test_no_tiling_is_halves() -> None:
    vae = make_vae("2.1")
    video = noise(3, 5, 32, 64)
    assert torch.equal(vae.encode_tiled(video), vae.encode_tiled(video, Tiling((2, 4), (1, 2))))


def test_halves_must_fit() -> None:
    with pytest.raises(InvalidInput, match="multiples of 16, not 24 and 32"):
        make_vae("2.1").encode_tiled(noise(3, 1, 24, 32))


def test_tiled_encoding_checks_its_frames() -> None:
    vae = make_vae("2.1")
    video = noise(3, 7, 16, 16)
    with pytest.raises(InvalidInput, match="4k frames"):
        vae.encode_tiled(video)
    assert torch.equal(vae.encode_tiled(video, truncate=True), vae.encode_tiled(video[:, :5]))
