"""The published video autoencoders with random weights, ours and that of diffusers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tests.vae.tiny import wan_2_1, wan_2_2
from wancore.vae import LatentStatistics, Vae
from wancore.vae.load import channels_last
from wancore.vae.network import VaeNetwork

ARCHITECTURES = {"2.1": wan_2_1(dim=96), "2.2": wan_2_2(dim=160, decoder_dim=256)}
FRAMES = 81


def random_vae(version: str, dtype: torch.dtype = torch.bfloat16) -> Vae:
    """Weights that keep activations near 1, the same in every number type but for rounding to bfloat16."""
    architecture = ARCHITECTURES[version]
    with torch.device("meta"):
        network = VaeNetwork(architecture)
    network = network.to_empty(device="cuda")
    draw = torch.Generator("cuda").manual_seed(0)
    with torch.no_grad():
        for name, tensor in network.named_parameters():
            noise = torch.randn(tensor.shape, device="cuda", generator=draw)
            if name.endswith("gamma"):
                tensor.copy_(1 + 0.1 * noise)
            else:
                tensor.copy_(noise * (0.1 if name.endswith("bias") else tensor[0].numel() ** -0.5))
            tensor.copy_(tensor.bfloat16())
    network = network.requires_grad_(False).eval().to(dtype)
    channels_last(network)
    return Vae(network, LatentStatistics.identity(architecture.latent_channels))


def diffusers_vae(version: str) -> Any:
    """`AutoencoderKLWan` as published, in bfloat16, with its own initial weights."""
    from diffusers import AutoencoderKLWan

    if version == "2.1":
        vae = AutoencoderKLWan()
    else:
        vae = AutoencoderKLWan(
            base_dim=160, decoder_base_dim=256, z_dim=48, is_residual=True, in_channels=12, out_channels=12,
            patch_size=2, scale_factor_spatial=16, latents_mean=[0.0] * 48, latents_std=[1.0] * 48,
        )  # fmt: skip
    return vae.to("cuda", torch.bfloat16).requires_grad_(False).eval()


def lay_channels_last(module: nn.Module) -> None:
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    for parameter in module.parameters():
        if parameter.ndim in formats:
            parameter.data = parameter.data.contiguous(memory_format=formats[parameter.ndim])


def video(height: int, width: int, frames: int = FRAMES) -> Tensor:
    """[3, frames, height, width] in [-1, 1]."""
    return torch.rand(3, frames, height, width, device="cuda") * 2 - 1


def latents(vae: Vae, height: int, width: int, frames: int = FRAMES) -> Tensor:
    """[C, k, h, w] of a video of that size."""
    side = vae.spatial_stride
    return torch.randn(
        vae.latent_channels, vae.latent_frames(frames), height // side, width // side, device="cuda"
    )
