from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.checkpoints.synthetic import write_headers
from tests.vae.tiny import noise, randomise, write
from wancore.checkpoints import open_view
from wancore.errors import CheckpointError, InvalidInput
from wancore.vae import PreviewDecoder, load_preview
from wancore.vae.preview import PreviewNetwork
from wancore.vae.statistics import LatentStatistics
from wancore.vae.taehv import DecoderSpec, EncoderSpec

CHANNELS = 16


def network(*, wide: bool, patch: int, encoder: bool = True) -> PreviewNetwork:
    pixels = 3 * patch**2
    made = PreviewNetwork(
        EncoderSpec(pixels, 6, (2, 2, 1), CHANNELS) if encoder else None,
        DecoderSpec(CHANNELS, (8, 6, 4, 4), (1, 2, 2), pixels),
        wide=wide,
    )
    randomise(made)
    return made


def loaded(folder: Path, *, wide: bool, patch: int) -> tuple[PreviewDecoder, dict[str, Tensor]]:
    made = network(wide=wide, patch=patch)
    return load_preview(write(made, folder / "tae.safetensors")), made.state_dict()


def remember(w: dict[str, Tensor], at: str, x: Tensor, *, wide: bool) -> Tensor:
    past = torch.cat([torch.zeros_like(x[:1]), x[:-1]])
    y = torch.cat([x, past], 1)
    if wide:
        y = F.conv2d(y, w[f"{at}.conv.0.weight"], padding=3, groups=y.shape[1])
        y = F.relu(F.conv2d(y, w[f"{at}.conv.1.weight"], w[f"{at}.conv.1.bias"]))
        return F.conv2d(y, w[f"{at}.conv.3.weight"]) + x
    for i in (0, 2, 4):
        y = F.conv2d(y, w[f"{at}.conv.{i}.weight"], w[f"{at}.conv.{i}.bias"], padding=1)
        y = F.relu(y) if i < 4 else F.relu(y + x)
    return y


def grow(w: dict[str, Tensor], at: str, x: Tensor) -> Tensor:
    return F.conv2d(x, w[f"{at}.conv.weight"]).reshape(-1, *x.shape[1:])


def whole_decode(w: dict[str, Tensor], latent: Tensor, patch: int, *, wide: bool) -> Tensor:
    """All frames at once, layer by layer, from the published description."""
    x = latent.transpose(0, 1)
    if wide:
        x = F.conv2d(x, w["decoder.0.weight"])
        for first in (1, 8, 15):
            for i in range(first, first + 3):
                x = remember(w, f"decoder.{i}", x, wide=True)
            at = f"decoder.{first + 3}"
            x = F.pixel_shuffle(F.relu(F.conv2d(x, w[f"{at}.weight"], w[f"{at}.bias"], padding=1)), 2)
            x = grow(w, f"decoder.{first + 6}", x)
    else:
        x = F.conv2d(torch.tanh(x / 3) * 3, w["decoder.1.weight"], w["decoder.1.bias"], padding=1).relu()
        for first in (3, 9, 15):
            for i in range(first, first + 3):
                x = remember(w, f"decoder.{i}", x, wide=False)
            x = grow(w, f"decoder.{first + 4}", F.interpolate(x, scale_factor=2))
            x = F.conv2d(x, w[f"decoder.{first + 5}.weight"], padding=1)
        x = x.relu()
    x = F.conv2d(x, w["decoder.22.weight"], w["decoder.22.bias"], padding=1)
    return F.pixel_shuffle(x, patch).clamp(0, 1)[3:].transpose(0, 1)


@pytest.mark.parametrize("patch", [1, 2])
@pytest.mark.parametrize("wide", [False, True])
def test_streaming_is_the_whole(wide: bool, patch: int, tmp_path: Path) -> None:
    preview, weights = loaded(tmp_path, wide=wide, patch=patch)
    assert preview.spatial_stride == 8 * patch
    latent = noise(CHANNELS, 4, 2, 3)
    stream = preview.decoder_stream()
    parts = [stream.push(part) for part in latent.split([1, 2, 1], dim=1)]
    assert [part.shape[1] for part in parts] == [1, 8, 4]
    video = torch.cat(parts, 1)
    assert video.shape == (3, 13, 16 * patch, 24 * patch)
    torch.testing.assert_close(video, whole_decode(weights, latent, patch, wide=wide), rtol=0, atol=1e-5)
    assert torch.equal(preview.decode(latent), video)
    stream.reset()
    assert torch.equal(stream.push(latent), video)


@settings(deadline=None, max_examples=10)
@given(frames=st.integers(1, 13))
def test_encoding_repeats_the_last_frame(frames: int) -> None:
    preview = PreviewDecoder(network(wide=False, patch=2), CHANNELS, patch=2)
    video = noise(3, frames, 16, 32).abs()
    latent = preview.encode(video)
    assert latent.shape == (CHANNELS, -(-frames // 4), 1, 2)
    padded = torch.cat([video, *[video[:, -1:]] * (-frames % 4)], 1)
    assert torch.equal(preview.encode(padded), latent)


def test_raw_latents(tmp_path: Path) -> None:
    """Told by the name of the file, or by the caller."""
    made = network(wide=False, patch=1)
    plain = load_preview(write(made, tmp_path / "taew2_1.safetensors"))
    light = load_preview(write(made, tmp_path / "lighttaew2_1.safetensors"))
    latent = noise(CHANNELS, 2, 1, 1)
    statistics = LatentStatistics.of(open_view(tmp_path / "lighttaew2_1.safetensors"), CHANNELS)
    raw = statistics.denormalise(latent[None])[0]
    torch.testing.assert_close(light.decode(latent), plain.decode(raw))
    assert not torch.allclose(light.decode(latent), plain.decode(latent))
    told = load_preview(tmp_path / "taew2_1.safetensors", raw_latents=True)
    assert torch.equal(told.decode(latent), light.decode(latent))
    video = noise(3, 4, 8, 8).abs()
    torch.testing.assert_close(statistics.denormalise(light.encode(video)[None])[0], plain.encode(video))


def test_a_file_without_an_encoder_decodes(tmp_path: Path) -> None:
    preview = load_preview(write(network(wide=False, patch=1, encoder=False), tmp_path / "tae.safetensors"))
    assert preview.decode(noise(CHANNELS, 1, 1, 1)).shape == (3, 1, 8, 8)
    with pytest.raises(InvalidInput, match="no encoder"):
        preview.encode(noise(3, 4, 8, 8))


def test_bad_inputs_are_named(tmp_path: Path) -> None:
    preview, _ = loaded(tmp_path, wide=False, patch=1)
    with pytest.raises(InvalidInput, match=r"latent.*\[16, frames"):
        preview.decode(noise(3, 1, 2, 2))
    with pytest.raises(InvalidInput, match="multiples of 8"):
        preview.encode(noise(3, 1, 12, 8))
    stream = preview.decoder_stream()
    stream.push(noise(CHANNELS, 1, 2, 3))
    with pytest.raises(InvalidInput, match=r"\[2, 3\]"):
        stream.push(noise(CHANNELS, 1, 3, 2))


def test_other_files_are_refused(tmp_path: Path) -> None:
    other = write_headers(tmp_path / "other.safetensors", {"blocks.0.q.weight": [4, 4]})
    with pytest.raises(CheckpointError, match="no TAEHV network"):
        load_preview(other)
    vae = write_headers(tmp_path / "vae.safetensors", {"decoder.upsamples.0.residual.0.gamma": [8, 1, 1, 1]})
    with pytest.raises(CheckpointError, match=r"Wan 2\.1 VAE.*load_vae"):
        load_preview(vae)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decoder.7.conv.weight": [16, 8, 1, 1]}, "8 frames per latent frame"),
        ({"decoder.13.conv.weight": [9, 6, 1, 1]}, "no whole number of frames"),
        ({"decoder.22.weight": [4, 4, 3, 3], "decoder.22.bias": [4]}, "4 pixel channels"),
        ({"decoder.14.weight": [4, 6, 3]}, "4 dimensions"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, list[int]], message: str, tmp_path: Path) -> None:
    shapes = {name: list(t.shape) for name, t in network(wide=False, patch=1).state_dict().items()}
    file = write_headers(tmp_path / "tae.safetensors", {**shapes, **change})
    with pytest.raises(CheckpointError, match=message):
        load_preview(file)
