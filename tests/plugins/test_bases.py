"""Which base a family needs, and whose a file is that only its name tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from wancore.checkpoints.open import open_view
from wancore.errors import CheckpointError
from wancore.plugins.bases import reads_image, reads_text_only, require_image, require_text_only
from wancore.plugins.claims import claim_by_name
from wancore.plugins.family import Base
from wancore.testing import make_tiny
from wancore.transformer.config import TransformerConfig


def base(in_dim: int, image_dim: int | None, latent: int = 16) -> Base:
    config = TransformerConfig(64, 64, 4, 1, in_dim, latent, image_dim=image_dim)
    return Base(config, latent_channels=latent)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text-to-video model's transformer in a folder that is named for a family."""
    folder = make_tiny("t2v", tmp_path_factory.mktemp("models") / "Wan-Mine-1.3B")
    return folder / "diffusion_pytorch_model.safetensors"


@pytest.mark.parametrize("latent", [16, 48])
def test_each_kind_is_no_other(file, latent):
    weights = open_view(file)
    text, image = base(latent, None, latent), base(2 * latent + 4, 1280, latent)
    require_text_only(text, weights, "Mine")
    require_image(image, weights, "Mine")
    for wrong in (image, base(2 * latent + 4, None, latent), base(latent, 1280, latent)):
        with pytest.raises(
            CheckpointError, match=f"Mine needs a text-to-video model.* reads {latent} ch.*; this"
        ):
            require_text_only(wrong, weights, "Mine")
    for wrong in (text, base(2 * latent + 4, None, latent), base(latent, 1280, latent)):
        with pytest.raises(
            CheckpointError, match=f"Mine needs an image-to-video model.* reads {2 * latent + 4} ch"
        ):
            require_image(wrong, weights, "Mine")


def test_what_is_found_instead_is_said(file):
    with pytest.raises(CheckpointError, match="this one reads 36 channels and no CLIP features") as caught:
        require_text_only(base(36, None), open_view(file), "Mine")
    assert caught.value.path == file


def test_a_name_decides_between_families_with_the_same_keys(file):
    view = open_view(file)
    named = claim_by_name(view, "mine", reads_text_only, ("wan",))
    assert named is not None and (named.kind, named.decided_by, named.alternatives) == (
        "base",
        "hint",
        ("wan",),
    )
    other = claim_by_name(view, "yours", reads_text_only, ("wan",))
    assert other is not None and other.decided_by == "keys" and not other.certain
    assert claim_by_name(view, "mine", reads_image, ("wan",)) is None


def test_more_than_a_base_model_is_not_claimed(file):
    view = open_view(file)
    names = {name: name for name in view.entries}
    taken, *_ = names
    extra = view.renamed({**names, taken: "blocks.0.something.weight"})
    assert claim_by_name(extra, "mine", reads_text_only, ("wan",)) is None
