"""Loading a VAE from any of the layouts it is published in."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from wancore.checkpoints import FileView, load_module, open_view
from wancore.errors import CheckpointError
from wancore.kernels.vae import LIBRARY as KERNELS
from wancore.vae.architecture import Architecture
from wancore.vae.files import recognise
from wancore.vae.network import VaeNetwork
from wancore.vae.statistics import LatentStatistics
from wancore.vae.vae import Vae


def load_vae(
    source: Path | str | FileView,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    statistics: LatentStatistics | None = None,
) -> Vae:
    """The Wan 2.1 or 2.2 VAE at `source`: a file, a folder with one checkpoint, or an open view.

    Reads the original layout (also prefixed `model.`, also pruned) and that of diffusers.
    `dtype`: what to compute in (None: as stored). `statistics`: of the latents (None: those of the
    checkpoint's config.json, else the published ones). Raises `CheckpointError`.
    """
    view = source if isinstance(source, FileView) else open_view(source)
    found = recognise(view)
    if found is None:
        raise CheckpointError(view.path, "is not a Wan VAE: it has none of the keys that mark one")
    if found.kind.is_preview:
        raise CheckpointError(view.path, f"is a {found.kind.value}, not a Wan VAE; load it with load_preview")
    architecture = Architecture.from_view(found.view)
    statistics = statistics or LatentStatistics.of(found.view, architecture.latent_channels)
    with torch.device("meta"):
        network = VaeNetwork(architecture)
    load_module(network, found.view, dtype=dtype, device=device)
    if torch.device(device).type == "cuda":
        channels_last(network)
        KERNELS.serves(torch.device(device))  # compiled now, not when the first frame is waited for
    return Vae(network.eval(), statistics)


def channels_last(network: nn.Module) -> None:
    """Lays the weights of all convolutions out channels last, as tensor cores take them."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            module.weight.data = module.weight.contiguous(memory_format=formats[module.weight.ndim])
