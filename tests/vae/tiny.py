"""Small networks with random weights, and files of them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from wancore.vae import LatentStatistics, Vae
from wancore.vae.architecture import Architecture, Half, Layer, Resample, Residual, Stage
from wancore.vae.network import VaeNetwork


def flat(widths: tuple[int, ...], temporal: tuple[bool, ...], blocks: int, *, up: bool) -> tuple[Layer, ...]:
    """The body of a Wan 2.1 half; `widths` one more than there are stages, `temporal` one less."""
    layers: list[Layer] = []
    width = widths[0]
    for i, to in enumerate(widths[1:]):
        for _ in range(blocks):
            layers.append(Residual(width, to))
            width = to
        if i < len(temporal):
            out = width // 2 if up else width
            layers.append(Resample(width, out, temporal[i]))
            width = out
    return tuple(layers)


def staged(widths: tuple[int, ...], temporal: tuple[bool, ...], blocks: int) -> tuple[Stage, ...]:
    """The body of a Wan 2.2 half."""
    stages = []
    for i, (width, to) in enumerate(pairwise(widths)):
        layers: list[Layer] = [Residual(width if j == 0 else to, to) for j in range(blocks)]
        if i < len(temporal):
            layers.append(Resample(to, to, temporal[i]))
        stages.append(Stage(tuple(layers)))
    return tuple(stages)


def wan_2_1(dim: int = 4, latent: int = 16) -> Architecture:
    down, up = (dim, dim, 2 * dim, 4 * dim, 4 * dim), (4 * dim, 4 * dim, 4 * dim, 2 * dim, dim)
    encoder = flat(down, (False, True, True), 2, up=False)
    decoder = flat(up, (True, True, False), 3, up=True)
    return Architecture(
        Half(3, dim, encoder, 4 * dim, 4 * dim, 2 * latent),
        Half(latent, 4 * dim, decoder, 4 * dim, dim, 3),
        latent,
        patch_size=1,
    )


def wan_2_2(dim: int = 4, decoder_dim: int = 6, latent: int = 48) -> Architecture:
    down = (dim, dim, 2 * dim, 4 * dim, 4 * dim)
    up = tuple(decoder_dim * n for n in (4, 4, 4, 2, 1))
    encoder = staged(down, (False, True, True), 2)
    decoder = staged(up, (True, True, False), 3)
    return Architecture(
        Half(12, dim, encoder, 4 * dim, 4 * dim, 2 * latent),
        Half(latent, 4 * decoder_dim, decoder, 4 * decoder_dim, decoder_dim, 12),
        latent,
        patch_size=2,
    )


ARCHITECTURES = {"2.1": wan_2_1, "2.2": wan_2_2}


def on_meta(architecture: Architecture) -> VaeNetwork:
    with torch.device("meta"):
        return VaeNetwork(architecture)


def randomise(module: nn.Module, seed: int = 0) -> nn.Module:
    """Weights that keep activations near 1, gains near 1."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in module.named_parameters():
            noise = torch.randn(tensor.shape, generator=draw)
            if name.endswith("gamma"):
                tensor.copy_(1 + 0.1 * noise)
            elif name.endswith("bias"):
                tensor.copy_(0.1 * noise)
            else:
                tensor.copy_(noise / tensor[0].numel() ** 0.5)
            tensor.requires_grad_(False)
    return module


def make_vae(version: str, latent: int = 16) -> Vae:
    """A tiny VAE of "2.1" or "2.2" whose latents have uneven statistics."""
    network = VaeNetwork(ARCHITECTURES[version](latent=latent))
    randomise(network)
    mean = tuple(0.1 * i - 0.5 for i in range(latent))
    std = tuple(0.5 + 0.1 * i for i in range(latent))
    return Vae(network.eval(), LatentStatistics(mean, std))


def write(module: nn.Module, path: Path, prefix: str = "") -> Path:
    save_file({prefix + name: tensor.contiguous() for name, tensor in module.state_dict().items()}, path)
    return path


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1
