"""The two kinds of base model that most families are made for."""

from __future__ import annotations

from typing import Protocol

from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError
from wancore.plugins.family import Base

LATENT = 16  # channels, of Wan 2.1's autoencoder
MASK = 4  # channels: each stands for one of the pixel frames of a latent frame


class Sizes(Protocol):
    """What is asked of a transformer's sizes: `BaseSpec` and `TransformerConfig` have it."""

    @property
    def in_dim(self) -> int: ...

    @property
    def image_dim(self) -> int | None: ...


def reads_text_only(sizes: Sizes, latent: int = LATENT) -> bool:
    """Text to video: nothing beside the noise of `latent` channels, and no CLIP features."""
    return sizes.in_dim == latent and sizes.image_dim is None


def reads_image(sizes: Sizes, latent: int = LATENT) -> bool:
    """Wan 2.1's image to video: noise, mask and image latent as channels, and CLIP features."""
    return sizes.in_dim == 2 * latent + MASK and sizes.image_dim is not None


def require_text_only(base: Base, weights: FileView, name: str) -> None:
    """Raises `CheckpointError` unless `reads_text_only`; `name`: whose weights these are."""
    if not reads_text_only(base.transformer, base.latent_channels):
        wanted = f"a text-to-video model, which reads {described(base.latent_channels, False)}"
        refuse(base, weights, f"{name} needs {wanted}")


def require_image(base: Base, weights: FileView, name: str) -> None:
    """Raises `CheckpointError` unless `reads_image`; `name`: whose weights these are."""
    if not reads_image(base.transformer, base.latent_channels):
        wanted = f"an image-to-video model, which reads {described(2 * base.latent_channels + MASK, True)}"
        refuse(base, weights, f"{name} needs {wanted}")


def refuse(base: Base, weights: FileView, needed: str) -> None:
    config = base.transformer
    found = described(config.in_dim, config.image_dim is not None)
    raise CheckpointError(weights.path, f"{needed}; this one reads {found}")


def described(channels: int, image: bool) -> str:
    return f"{channels} channels and {'' if image else 'no '}CLIP features"
