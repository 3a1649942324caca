from __future__ import annotations

from pathlib import Path

import pytest

from tests.checkpoints.synthetic import write_headers
from tests.vae.tiny import ARCHITECTURES, on_meta
from wancore.checkpoints import open_view
from wancore.errors import CheckpointError
from wancore.vae.files import VaeFile, VaeKind, recognise


def found(folder: Path, shapes: dict[str, list[int]]) -> VaeFile | None:
    return recognise(open_view(write_headers(folder / "some.safetensors", shapes)))


def vae_shapes(version: str, prefix: str = "") -> dict[str, list[int]]:
    state = on_meta(ARCHITECTURES[version]()).state_dict()
    return {prefix + name: list(tensor.shape) for name, tensor in state.items()}


KINDS = {"2.1": VaeKind.WAN_2_1, "2.2": VaeKind.WAN_2_2}


@pytest.mark.parametrize("prefix", ["", "model."])
@pytest.mark.parametrize("version", KINDS)
def test_original_layouts(version: str, prefix: str, tmp_path: Path) -> None:
    file = found(tmp_path, vae_shapes(version, prefix))
    assert file is not None and file.kind is KINDS[version]
    assert set(file.view.entries) == set(vae_shapes(version))


def test_a_few_names_without_the_prefix_do_not_matter(tmp_path: Path) -> None:
    file = found(tmp_path, {**vae_shapes("2.1", "model."), "iteration": [1]})
    assert file is not None and file.kind is VaeKind.WAN_2_1
    assert "iteration" in file.view.entries


def test_two_names_that_become_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"conv1\.bias.*with and without"):
        found(tmp_path, {**vae_shapes("2.1", "model."), "conv1.bias": [32]})


def test_preview_layouts(tmp_path: Path) -> None:
    small = found(
        tmp_path, {"decoder.1.weight": [256, 16, 3, 3], "decoder.3.conv.4.weight": [256, 256, 3, 3]}
    )
    assert small is not None and small.kind is VaeKind.TAEHV
    wide = found(
        tmp_path, {"decoder.0.weight": [512, 48, 1, 1], "decoder.1.conv.3.weight": [512, 2048, 1, 1]}
    )
    assert wide is not None and wide.kind is VaeKind.TAEHV_SUPER
    assert small.kind.is_preview and wide.kind.is_preview


@pytest.mark.parametrize(
    "shapes",
    [
        {},
        {"blocks.0.self_attn.q.weight": [8, 8]},
        # Stable Diffusion's image VAE in the diffusers layout
        {"post_quant_conv.weight": [4, 4, 1, 1], "decoder.up_blocks.0.resnets.0.norm1.weight": [512]},
        {"decoder.upsamples.0.residual.0.gamma": [8]},
    ],
)
def test_other_files_are_not_recognised(shapes: dict[str, list[int]], tmp_path: Path) -> None:
    assert found(tmp_path, shapes) is None
