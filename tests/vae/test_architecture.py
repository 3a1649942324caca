from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.checkpoints.synthetic import write_headers
from tests.vae.tiny import ARCHITECTURES, flat, on_meta, wan_2_1, wan_2_2
from wancore.checkpoints import open_view
from wancore.errors import CheckpointError
from wancore.vae.architecture import Architecture, Attention, Half


def shapes(architecture: Architecture) -> dict[str, list[int]]:
    return {name: list(tensor.shape) for name, tensor in on_meta(architecture).state_dict().items()}


def read(folder: Path, found: dict[str, list[int]]) -> Architecture:
    return Architecture.from_view(open_view(write_headers(folder / "vae.safetensors", found)))


PUBLISHED = {
    "2.1": (wan_2_1(96), 194, 126.9e6, (4, 8)),
    "2.1 pruned": (wan_2_1(24), 194, None, (4, 8)),
    "2.2": (wan_2_2(160, 256), 196, 704.7e6, (4, 16)),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes(name: str, tmp_path: Path) -> None:
    architecture, tensors, parameters, strides = PUBLISHED[name]
    found = shapes(architecture)
    assert len(found) == tensors
    if parameters is not None:
        total = sum(p.numel() for p in on_meta(architecture).parameters())
        assert total == pytest.approx(parameters, rel=1e-3)
    assert read(tmp_path, found) == architecture
    assert (architecture.temporal_stride, architecture.spatial_stride) == strides


def test_published_keys() -> None:
    first, second = shapes(wan_2_1(96)), shapes(wan_2_2(160, 256))
    assert first["decoder.upsamples.3.resample.1.weight"] == [192, 384, 3, 3]
    assert first["decoder.upsamples.3.time_conv.weight"] == [768, 384, 3, 1, 1]
    assert first["decoder.upsamples.4.shortcut.weight"] == [384, 192, 1, 1, 1]
    assert first["decoder.upsamples.11.resample.1.weight"] == [96, 192, 3, 3]
    assert first["encoder.downsamples.5.time_conv.weight"] == [192, 192, 3, 1, 1]
    assert first["encoder.middle.1.to_qkv.weight"] == [1152, 384, 1, 1]
    assert first["encoder.middle.1.norm.gamma"] == [384, 1, 1]
    assert second["encoder.downsamples.2.downsamples.2.time_conv.weight"] == [640, 640, 3, 1, 1]
    assert second["decoder.upsamples.2.upsamples.3.resample.1.weight"] == [512, 512, 3, 3]
    assert second["decoder.upsamples.0.upsamples.3.time_conv.weight"] == [2048, 1024, 3, 1, 1]
    assert second["decoder.head.2.weight"] == [12, 256, 3, 3, 3]


@settings(deadline=None, max_examples=20)
@given(
    dim=st.integers(1, 5),
    latent=st.integers(1, 20),
    blocks=st.integers(1, 3),
    temporal=st.lists(st.booleans(), min_size=1, max_size=3),
    attention=st.booleans(),
)
def test_any_depth_is_read_back(
    dim: int,
    latent: int,
    blocks: int,
    temporal: list[bool],
    attention: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    widths = tuple(2 * dim for _ in range(len(temporal) + 2))
    down = flat(widths, tuple(temporal), blocks, up=False)
    up = flat(widths, tuple(temporal), blocks, up=True)
    if attention:
        down = (*down, Attention(2 * dim))
    architecture = Architecture(
        Half(3, 2 * dim, down, 2 * dim, 2 * dim, 2 * latent),
        Half(latent, 2 * dim, up, 2 * dim, 2 * dim, 3),
        latent,
        patch_size=1,
    )
    assert read(tmp_path_factory.mktemp("vae"), shapes(architecture)) == architecture


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decoder.conv1.weight": None}, "decoder.conv1.weight.*missing"),
        ({"decoder.upsamples.5.residual.2.weight": None}, "decoder.upsamples.5.*holds no"),
        ({"encoder.downsamples.4.residual.2.weight": [8, 6, 3, 3, 3]}, "takes 6 channels but is given 8"),
        ({"encoder.conv1.weight": [4, 5, 3, 3, 3]}, "5 and gives 3 channels"),
        ({"encoder.head.2.weight": [30, 16, 3, 3, 3]}, "mean and variance of 16"),
        ({"decoder.conv1.weight": [16, 16, 3, 3]}, "5 dimensions"),
    ],
)
def test_what_does_not_fit_is_named(
    change: dict[str, list[int] | None], message: str, tmp_path: Path
) -> None:
    found: dict[str, list[int] | None] = {**shapes(wan_2_1()), **change}
    with pytest.raises(CheckpointError, match=message):
        read(tmp_path, {name: shape for name, shape in found.items() if shape is not None})


@pytest.mark.parametrize("version", ARCHITECTURES)
def test_a_gap_in_the_numbering_is_refused(version: str, tmp_path: Path) -> None:
    found = shapes(ARCHITECTURES[version]())
    kept = {name: shape for name, shape in found.items() if not name.startswith("decoder.upsamples.1.")}
    with pytest.raises(CheckpointError, match=r"decoder\.upsamples.*numbers its layers"):
        read(tmp_path, kept)
