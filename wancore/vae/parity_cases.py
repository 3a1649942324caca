"""Golden cases of the VAE, each through the public interface and a real checkpoint file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from wancore.parity import Case
from wancore.vae import latent_rgb as rgb_preview
from wancore.vae.end_image import decode_with_end, encode_with_end
from wancore.vae.load import load_vae
from wancore.vae.preview import load_preview
from wancore.vae.statistics import LatentStatistics
from wancore.vae.tiling import Tiling
from wancore.vae.vae import Vae

Outputs = Mapping[str, Tensor]


@contextmanager
def loaded(case: Case) -> Iterator[Vae]:
    """The case's network, with the latent statistics that the case states; none stated: raw latents."""
    with case.checkpoint() as folder:
        config = case.config
        if "latents_mean" in config:
            statistics = LatentStatistics(tuple(config["latents_mean"]), tuple(config["latents_std"]))
        else:
            statistics = LatentStatistics.identity(config["model"]["z_dim"])
        yield load_vae(folder, statistics=statistics, **case.place)


def vae_encode(case: Case) -> Outputs:
    with loaded(case) as vae:
        return {"latent": vae.encode(case.inputs["video"], truncate=True)}


def vae_decode(case: Case) -> Outputs:
    with loaded(case) as vae:
        return {"video": vae.decode(case.inputs["latent"], clamp=False)}


def vae_diffusers(case: Case) -> Outputs:
    with loaded(case) as vae:
        return {"latent": vae.encode(case.inputs["video"]), "video": vae.decode(case.inputs["latent"])}


def vae_end_image(case: Case) -> Outputs:
    with loaded(case) as vae:
        return {
            "latent": encode_with_end(vae, case.inputs["video"]),
            "video": decode_with_end(vae, case.inputs["latent"], clamp=False),
        }


def vae_stream(case: Case) -> Outputs:
    chunks = case.config["chunks"]
    with loaded(case) as vae:
        stream = vae.decoder_stream(step=max(chunks), clamp=False)
        parts = case.inputs["latent"].split(chunks, dim=1)
        return {f"chunk{i}": stream.push(part) for i, part in enumerate(parts)}


def vae_tiled(case: Case) -> Outputs:
    size, stride = case.config["tile_size"], case.config["tile_stride"]
    tiling = None if size is None else Tiling(tuple(size), tuple(stride))
    outputs = {}
    with loaded(case) as vae:
        if "video" in case.inputs:
            outputs["latent"] = vae.encode_tiled(case.inputs["video"], tiling)
        if "latent" in case.inputs and tiling is not None:
            outputs["video"] = vae.decode_tiled(case.inputs["latent"], tiling)
    return outputs


def taehv_case(case: Case) -> Outputs:
    outputs = {}
    with case.checkpoint() as folder:
        preview = load_preview(folder)
        if "video" in case.inputs:
            outputs["latent"] = preview.encode(case.inputs["video"])
        if "latent" in case.inputs:
            latent = case.inputs["latent"]
            outputs["video"] = preview.decode(latent)
            stream = preview.decoder_stream()
            counts = [stream.push(frame[:, None]).shape[1] for frame in latent.unbind(1)]
            outputs["frames_per_latent"] = torch.tensor(counts, dtype=torch.int32)
    return outputs


def latent_rgb(case: Case) -> Outputs:
    return {name: rgb_preview(latent, clamp=False) for name, latent in case.inputs.items()}
