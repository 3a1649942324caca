"""diffusers as a second reference: its own classes write the files that are read here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKLWan

from tests.vae.tiny import noise, randomise
from wancore.checkpoints import open_view
from wancore.errors import CheckpointError
from wancore.vae import VaeKind, load_vae, recognise
from wancore.vae.diffusers_keys import original_names

CONFIGS: dict[str, dict[str, Any]] = {
    "2.1": {"base_dim": 8, "z_dim": 16},
    "2.1 deeper": {"base_dim": 4, "z_dim": 16, "num_res_blocks": 3, "dim_mult": [1, 3, 2, 4]},
    "2.2": {
        "base_dim": 8, "decoder_base_dim": 12, "z_dim": 48, "is_residual": True, "in_channels": 12,
        "out_channels": 12, "patch_size": 2, "scale_factor_spatial": 16,
    },
}  # fmt: skip
STATISTICS = {"latents_mean": [0.1 * i for i in range(48)], "latents_std": [1 + 0.1 * i for i in range(48)]}


def config(name: str) -> dict[str, Any]:
    channels = CONFIGS[name]["z_dim"]
    return {**CONFIGS[name], **{key: values[:channels] for key, values in STATISTICS.items()}}


@pytest.mark.parametrize("name", CONFIGS)
@torch.no_grad()
def test_same_latents_and_pixels(name: str, tmp_path: Path) -> None:
    theirs = randomise(AutoencoderKLWan(**config(name)).eval())
    theirs.save_pretrained(tmp_path)
    ours = load_vae(tmp_path)
    side = ours.spatial_stride
    video, latent = noise(3, 9, 2 * side, 3 * side), noise(ours.latent_channels, 3, 2, 3)
    mean, std = ours.latents_mean.view(-1, 1, 1, 1), ours.latents_std.view(-1, 1, 1, 1)
    assert ours.latents_std.tolist() == pytest.approx(STATISTICS["latents_std"][: ours.latent_channels])
    expected = (theirs.encode(video[None]).latent_dist.mode()[0] - mean) / std
    torch.testing.assert_close(ours.encode(video), expected, rtol=0, atol=1e-4)
    pixels = theirs.decode((latent * std + mean)[None]).sample[0]
    torch.testing.assert_close(ours.decode(latent), pixels, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("name", "kind"), [("2.1", VaeKind.WAN_2_1), ("2.2", VaeKind.WAN_2_2)])
def test_the_version_is_recognised(name: str, kind: VaeKind, tmp_path: Path) -> None:
    AutoencoderKLWan(**config(name)).save_pretrained(tmp_path)
    file = recognise(open_view(tmp_path))
    assert file is not None and file.kind is kind


def test_statistics_of_a_wrong_length_are_named(tmp_path: Path) -> None:
    AutoencoderKLWan(
        **{**config("2.1"), "latents_mean": [0.0] * 3, "latents_std": [1.0] * 3}
    ).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="3 latents_mean for 16 channels"):
        load_vae(tmp_path)


def test_unknown_names_stay() -> None:
    keys = ["decoder.up_blocks.0.resnets.0.norm1.gamma", "loss.weight", "decoder.extra.weight"]
    names = original_names(keys)
    assert names == {keys[0]: "decoder.upsamples.0.residual.0.gamma", keys[1]: keys[1], keys[2]: keys[2]}
