"""The models that a talking family can lead on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wancore.plugins.family import Base

CHANNELS = 36  # 16 noise, 4 mask, 16 image latent


def reads_image(base: Base) -> bool:
    """Image channels and an image branch: what the families were trained on."""
    return base.transformer.in_dim == CHANNELS and base.transformer.image_dim is not None


def reads_text_only(base: Base) -> bool:
    """Noise alone: pictures reach the model as frames that are held, and through what is attached."""
    return base.transformer.in_dim == base.latent_channels and base.transformer.image_dim is None
