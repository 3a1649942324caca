"""The Wan diffusion transformer (arXiv:2503.20314; Wan-Video/Wan2.1 and Wan2.2 `model.py`)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from wancore.kernels.attention import Attend, sdpa
from wancore.quant.weight import dense_weight
from wancore.transformer.adapter import Chain, Part
from wancore.transformer.attention import zero_text_rows
from wancore.transformer.block import Block
from wancore.transformer.config import TransformerConfig
from wancore.transformer.embeddings import Head, ImageEmbedding, sinusoid
from wancore.transformer.keys import TextKeys
from wancore.transformer.levels import Levels
from wancore.transformer.norms import modulated_norm
from wancore.transformer.residual import Residual
from wancore.transformer.rope import Frequencies
from wancore.transformer.stream import Stream


class WanTransformer(nn.Module):
    """Predicts velocities of video latents. Sequences have no batch dimension: rows are tokens.

    The parts of a prediction are separate methods, because most of their results outlive a step:
    text is embedded once per request, segments once per window, timesteps once per step.
    `predict` (predict.py) puts them together.
    """

    def __init__(self, config: TransformerConfig, attend: Attend = sdpa) -> None:
        super().__init__()
        self.config = config
        self.attend = attend
        self.entering: Callable[[int], None] = nothing  # called before the weights of a block are read
        dim = config.dim
        self.patch_embedding = nn.Conv3d(config.in_dim, dim, config.patch_size, config.patch_size)
        if config.text_dim:
            self.text_embedding = mlp(config.text_dim, dim, nn.GELU(approximate="tanh"))
        self.time_embedding = mlp(config.freq_dim, dim, nn.SiLU())
        self.time_projection = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        if config.image_dim is not None:
            self.img_emb = ImageEmbedding(config.image_dim, dim, config.image_positions)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        patch_values = config.out_dim * config.patch_size[0] * config.patch_size[1] * config.patch_size[2]
        self.head = Head(dim, patch_values, config.eps)

    @property
    def layers(self) -> list[Block]:
        return cast(list[Block], list(self.blocks))

    @property
    def frequencies(self) -> Frequencies:
        return Frequencies(self.config.head_dim)

    @property
    def dtype(self) -> torch.dtype:
        return self.patch_embedding.weight.dtype

    @property
    def device(self) -> torch.device:
        return self.patch_embedding.weight.device

    def embed(self, latents: Tensor) -> Tensor:
        """Latents [in_dim, F, h, w] -> tokens [F * h/2 * w/2, D], in frame, row, column order.

        The convolution of patches that do not overlap is a linear of each, whose result needs no reordering.
        """
        p, q, r = self.config.patch_size
        patches = rearrange(latents.to(self.dtype), "c (f p) (h q) (w r) -> (f h w) (c p q r)", p=p, q=q, r=r)
        convolution = self.patch_embedding
        return F.linear(patches, convolution.weight.flatten(1), convolution.bias)

    def embed_text(self, text: Tensor, length: int | None = None) -> Tensor:
        """Text encoder rows [n, text_dim] -> [length, D]; the zero rows of the padding count too.

        `length`: None for the model's own `text_len`. Raises `InvalidInput` if there are more rows.
        """
        padded = zero_text_rows(text.to(self.dtype), self.config.text_len if length is None else length)
        embedded: Tensor = self.text_embedding(padded)
        return embedded

    def embed_image(self, features: Tensor) -> Tensor:
        """CLIP features [L, image_dim] -> [L, D]."""
        embedded: Tensor = self.img_emb(features.to(self.dtype))
        return embedded

    def embed_time(self, times: Tensor) -> tuple[Tensor, Tensor]:
        """Timesteps [K], 0..1000 -> e [K, D] and e0 [K, 6, D], float32."""
        hidden = linear_float32(sinusoid(times, self.config.freq_dim), self.time_embedding[0])
        e = linear_float32(F.silu(hidden), self.time_embedding[2])
        return e, rearrange(linear_float32(F.silu(e), self.time_projection[1]), "k (m d) -> k m d", m=6)

    def text_keys(self, text: Tensor | None, image: Tensor | None = None) -> list[TextKeys]:
        """What each block's text attention reads: embedded text [L, D] and embedded image tokens."""
        if text is None:
            return []
        return [block.text_keys(text, image) for block in self.layers]

    def forward(
        self,
        x: Tensor,
        e0: Tensor,
        stream: Stream,
        keys: Sequence[TextKeys] = (),
        parts: Sequence[Sequence[Part]] = (),
        chains: Sequence[Chain] = (),
        skip: Collection[int] = (),
    ) -> Tensor:
        """Runs the blocks: x [S, D] -> [S, D]. `skip`: blocks left out with everything on them."""
        running = [Residual(x, stream.levels)]  # handed over, so that a block's input ends with its use
        for i, block in enumerate(self.layers):
            if i in skip:
                continue
            if chains:  # which read the stream
                running.append(running.pop().settled())
            hints = [h for chain in chains if (h := chain.hint(i, running[0].x)) is not None]
            self.entering(i)
            running.append(
                block.advance(
                    running.pop(), e0, stream, keys[i] if keys else None, parts[i] if parts else (), hints
                )
            )
        return running.pop().value()

    def velocity(self, x: Tensor, e: Tensor, levels: Levels, grid: tuple[int, int, int]) -> Tensor:
        """Canvas rows [n, D] -> velocity [out_dim, F, h, w] float32; `grid` in tokens."""
        shift, scale = (self.head.modulation.float() + e[:, None]).unbind(1)
        n = modulated_norm(x.float(), shift, scale, levels, self.config.eps)
        patches = linear_float32(n, self.head.head)
        frames, height, width = grid
        p, q, r = self.config.patch_size
        return rearrange(
            patches, "(f h w) (p q r c) -> c (f p) (h q) (w r)", f=frames, h=height, w=width, p=p, q=q, r=r
        )


def nothing(i: int) -> None:
    """Every weight is where it is used."""


def mlp(dim_in: int, dim: int, activation: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim_in, dim), activation, nn.Linear(dim, dim))


def linear_float32(x: Tensor, linear: nn.Module) -> Tensor:
    """A linear computed in float32 whatever the weights' type: timesteps and the head need it."""
    return F.linear(x.float(), dense_weight(linear), cast(Tensor, linear.bias).float())
