"""Which model a file is, and what each is run with."""

from __future__ import annotations

from pathlib import Path

import pytest
from wancore_wan.family import WanFamily
from wancore_wan.variants import VARIANTS, with_experts

from wancore.checkpoints.open import open_view
from wancore.testing import make_tiny


@pytest.mark.parametrize("layout", ["upstream", "diffusers"])
@pytest.mark.parametrize("kind", ["t2v", "i2v", "flf2v", "i2v-a14b", "ti2v"])
def test_recognised_in_both_layouts(kind, layout, tmp_path):
    root = make_tiny(kind, tmp_path / "model", layout=layout)
    folder = next(p for p in (root / "transformer", root / "high_noise_model", root) if p.is_dir())
    claim = WanFamily().recognise(open_view(folder))
    assert claim is not None and (claim.family, claim.variant) == ("wan", kind)
    assert claim.general, "any family with a better reason comes first"


def test_an_extra_key_is_another_familys(tmp_path):
    import torch
    from safetensors.torch import load_file, save_file

    root = make_tiny("t2v", tmp_path / "model")
    file = root / "diffusion_pytorch_model.safetensors"
    save_file({**load_file(file), "blocks.0.projector.weight": torch.zeros(2, 2)}, file)
    assert WanFamily().recognise(open_view(file)) is None


def test_a_component_is_none(tmp_path):
    root = make_tiny("t2v", tmp_path / "model")
    assert WanFamily().recognise(open_view(Path(root) / "Wan2.1_VAE.safetensors")) is None


def test_two_transformers_make_an_a14b():
    assert with_experts("t2v", 2).id == "t2v-a14b"
    assert with_experts("t2v", 1).id == "t2v"


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_defaults_are_usable(variant):
    published = variant.published
    assert published.frames % 4 == 1
    assert published.width % 16 == 0 and published.height % 16 == 0
    assert len(published.guidance) == (2 if published.boundary else 1)


def test_small_videos_have_a_shift_of_their_own():
    i2v = VARIANTS["i2v"]
    assert i2v.defaults(832 * 480).shift == 3 and i2v.defaults(832 * 480 + 1) == i2v.published
    assert VARIANTS["t2v"].defaults(1) == VARIANTS["t2v"].published
