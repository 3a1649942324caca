"""The shape of one Wan transformer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of a Wan DiT (Wan 2.1/2.2 `config.json`; also readable from tensor shapes).

    `in_dim` counts every channel of the patch embedding: noise, masks and image latents.
    `image_dim` is the width of the CLIP features that the image branch reads, None without one;
    `image_positions` the number of image tokens with a position embedding (first and last image).
    `text_len` is the number of rows that the text is zero-padded to.
    """

    dim: int
    ffn_dim: int
    num_heads: int
    num_layers: int
    in_dim: int
    out_dim: int
    patch_size: tuple[int, int, int] = (1, 2, 2)
    freq_dim: int = 256
    text_dim: int = 4096
    text_len: int = 512
    eps: float = 1e-6
    image_dim: int | None = None
    image_positions: int | None = None

    @property
    def head_dim(self) -> int:
        return self.dim // self.num_heads
