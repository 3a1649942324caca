from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.checkpoints.synthetic import write_headers
from tests.vae.tiny import ARCHITECTURES, make_vae, noise, on_meta, wan_2_1, write
from wancore.checkpoints import open_view
from wancore.errors import CheckpointError
from wancore.vae import LatentStatistics, load_vae
from wancore.vae.load import channels_last

SIXTEEN = (-0.7571, 2.8184)  # published mean and deviation of the first of 16 channels
FORTY_EIGHT = (-0.2289, 0.4765)


@pytest.mark.parametrize("prefix", ["", "model."])
@pytest.mark.parametrize("version", ARCHITECTURES)
def test_a_file_gives_back_the_network(version: str, prefix: str, tmp_path: Path) -> None:
    made = make_vae(version)
    file = write(made.network, tmp_path / "vae.safetensors", prefix)
    latent = noise(16, 3, 2, 2)
    for source in (file, str(file), tmp_path, open_view(file)):
        loaded = load_vae(source, statistics=made.statistics)
        assert not loaded.network.training
        torch.testing.assert_close(loaded.decode(latent), made.decode(latent), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("latent", "first"), [(16, SIXTEEN), (48, FORTY_EIGHT)])
def test_published_statistics(latent: int, first: tuple[float, float], tmp_path: Path) -> None:
    vae = load_vae(write(make_vae("2.2", latent).network, tmp_path / "vae.safetensors"))
    assert len(vae.statistics.mean) == len(vae.statistics.std) == latent
    assert (vae.statistics.mean[0], vae.statistics.std[0]) == first


def test_unknown_statistics_are_named(tmp_path: Path) -> None:
    file = write(make_vae("2.1", 5).network, tmp_path / "vae.safetensors")
    with pytest.raises(CheckpointError, match=r"5 latent channels.*known: 16, 48"):
        load_vae(file)
    assert load_vae(file, statistics=LatentStatistics.identity(5)).latent_channels == 5


def test_dtype(tmp_path: Path) -> None:
    made = make_vae("2.1")
    file = write(made.network.to(torch.bfloat16), tmp_path / "vae.safetensors")
    assert load_vae(file).dtype == torch.bfloat16
    full = load_vae(file, dtype=torch.float32)
    assert {p.dtype for p in full.network.parameters()} == {torch.float32}


@pytest.mark.parametrize("version", ARCHITECTURES)
def test_the_layout_of_the_weights_changes_no_pixel(version: str) -> None:
    plain, turned = make_vae(version), make_vae(version)
    channels_last(turned.network)
    assert turned.network.decoder.conv1.weight.is_contiguous(memory_format=torch.channels_last_3d)
    latent = noise(16, 2, 2, 3)
    torch.testing.assert_close(turned.decode(latent), plain.decode(latent), rtol=0, atol=1e-5)


def test_missing_and_unexpected_keys_are_named(tmp_path: Path) -> None:
    state = {name: tensor.contiguous() for name, tensor in make_vae("2.1").network.state_dict().items()}
    state["loss"] = state.pop("decoder.upsamples.1.residual.6.bias")
    save_file(state, tmp_path / "vae.safetensors")
    with pytest.raises(CheckpointError, match=r"missing \(decoder\.upsamples\.1.*unexpected \(loss\)"):
        load_vae(tmp_path / "vae.safetensors")


def test_other_files_are_refused(tmp_path: Path) -> None:
    other = write_headers(tmp_path / "other.safetensors", {"blocks.0.q.weight": [4, 4]})
    with pytest.raises(CheckpointError, match=r"other\.safetensors: is not a Wan VAE"):
        load_vae(other)
    preview = write_headers(tmp_path / "taew2_1.safetensors", {"decoder.3.conv.4.weight": [4, 8, 3, 3]})
    with pytest.raises(CheckpointError, match=r"TAEHV.*load_preview"):
        load_vae(preview)


def test_the_full_size_is_built_without_its_memory(tmp_path: Path) -> None:
    """The weights of the published size stay in the mapped file."""
    shapes = {name: list(tensor.shape) for name, tensor in on_meta(wan_2_1(96)).state_dict().items()}
    file = write_headers(tmp_path / "vae.safetensors", shapes)
    before = resident()
    vae = load_vae(file)
    assert sum(p.numel() for p in vae.network.parameters()) > 126_000_000
    assert resident() - before < 100 * 2**20


def resident() -> int:
    """Bytes of anonymous memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
