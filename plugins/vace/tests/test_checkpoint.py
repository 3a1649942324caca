"""Whose file it is, which blocks are hinted at, and diffusers' names."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from wancore_vace.checkpoint import hinted_layers
from wancore_vace.family import VaceFamily
from wancore_vace.keys import RENAMES
from wancore_vace.recognise import recognise

from plugins.vace.tests import making
from wancore.checkpoints.canonical import diffusers_map, open_transformer
from wancore.checkpoints.keymap import KeyMap
from wancore.checkpoints.open import open_view
from wancore.engine.modules import ExpertFiles, split


def test_merged_and_module(models):
    merged, module = recognise(open_view(models.merged)), recognise(open_view(models.module))
    assert merged is not None and (merged.kind, merged.family) == ("merged", "vace")
    assert module is not None and module.kind == "module" and module.needs
    assert recognise(open_view(models.base)) is None


@pytest.mark.parametrize(("count", "blocks", "layers"), [(1, 2, (0,)), (2, 5, (0, 2)), (3, 9, (0, 3, 6))])
def test_layers_are_evenly_spaced_where_nothing_says(count, blocks, layers, tmp_path):
    module = making.make_module(tmp_path / "module.safetensors", blocks=count)
    assert hinted_layers(open_view(module), blocks) == layers


@pytest.mark.parametrize(("count", "blocks", "step"), [(15, 30, 2), (8, 40, 5)])
def test_layers_of_the_released_models(count, blocks, step, tmp_path):
    names = {f"vace_blocks.{n}.after_proj.weight": np.zeros(1, np.float32) for n in range(count)}
    save_file(names, tmp_path / "module.safetensors")
    assert hinted_layers(open_view(tmp_path / "module.safetensors"), blocks) == tuple(range(0, blocks, step))


def test_diffusers_names(models, tmp_path):
    """A file under diffusers' names splits into the same tensors."""
    theirs = (diffusers_map() + KeyMap.of(RENAMES)).inverse()
    arrays = load_file(models.merged / making.FILE)
    save_file({theirs.rename(name): array for name, array in arrays.items()}, tmp_path / making.FILE)
    names = open_view(tmp_path / making.FILE).entries
    assert "vace_blocks.0.proj_in.weight" in names and "vace_blocks.1.attn1.to_out.0.bias" in names
    claim = recognise(open_view(tmp_path / making.FILE))
    assert claim is not None and claim.kind == "merged"
    views = split(ExpertFiles(tmp_path / making.FILE), (VaceFamily(),))
    assert set(views["vace"].entries) == set(making.shapes(2))
    assert views["vace"].shape("vace_blocks.0.before_proj.weight") == (256, 256)
    ours = open_transformer(models.merged).tensor("vace_blocks.1.after_proj.bias")
    assert np.array_equal(views["vace"].tensor("vace_blocks.1.after_proj.bias"), ours)
