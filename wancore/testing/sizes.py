"""Sizes that all tiny models share."""

from __future__ import annotations

from wancore.testing.kinds import Version

# Transformer: heads as wide as the released ones', two of them.
DIM, HEADS, FFN, LAYERS, FREQ = 256, 2, 512, 2, 256
# Text encoder; image encoder, whose tokens are a class token and one a patch.
TEXT, TEXT_HEADS, TEXT_FFN, TEXT_LAYERS, BUCKETS = 64, 4, 128, 2, 32
IMAGE, IMAGE_HEADS, IMAGE_FFN, IMAGE_LAYERS, IMAGE_SIZE, PATCH = 160, 2, 320, 3, 56, 14
IMAGE_TOKENS = 1 + (IMAGE_SIZE // PATCH) ** 2
# Autoencoders: first width of the encoder and last of the decoder; widths of the preview's levels.
VAE_WIDTHS: dict[Version, tuple[int, int]] = {"2.1": (8, 8), "2.2": (8, 12)}
PREVIEW_WIDTHS = (16, 16, 8, 8)
