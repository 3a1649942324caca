"""Which model a file is, and what each is run with."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from wancore_wan.family import WanFamily
from wancore_wan.variants import VARIANTS, suited, with_experts

from wancore.checkpoints.defaults import ModelDefaults
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
    assert variant.frames % 4 == 1
    assert variant.width % 16 == 0 and variant.height % 16 == 0
    assert len(variant.guidance) == (2 if variant.boundary else 1)


def test_a_checkpoint_brings_its_own_figures() -> None:
    own = ModelDefaults(width=128, height=96, fps=12.5, shift=2.0, guidance=(4.0,), negative_prompt="")
    variant = suited(VARIANTS["i2v"], own)
    assert (variant.width, variant.height, variant.fps) == (128, 96, Fraction(25, 2))
    assert (variant.shift, variant.small_shift, variant.guidance, variant.negative) == (2.0, None, (4.0,), "")
    assert variant.steps == VARIANTS["i2v"].steps
    assert suited(VARIANTS["t2v"], ModelDefaults()) == VARIANTS["t2v"]
