"""The two stages of the training, each from files to files, so that a run can stop between them and go on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from tools.tiny.learn.autoencoder import psnr, quick_norms, save, statistics, train_vae, with_statistics
from tools.tiny.learn.flow import (
    Effort,
    FlowModels,
    make_master,
    make_models,
    make_stores,
    train_flow,
)  # fmt: skip
from tools.tiny.learn.latents import ClipSize
from tools.tiny.learn.master import Master
from tools.tiny.learn.sampling import Sampler, shares, write_sheet
from tools.tiny.learn.sizes import fresh_vae
from tools.tiny.learn.words import trained_tokenizer
from tools.tiny.score.prompts import held_back_prompts
from wancore.vae.load import channels_last
from wancore.vae.network import VaeNetwork
from wancore.vae.statistics import LatentStatistics, published

VAE_FILE, FLOW_FILE, STATE_FILE = "vae.safetensors", "flow.safetensors", "state.safetensors"
TOKENIZER_FILE = "tokenizer.json"


@dataclass(frozen=True)
class Workshop:
    """Where a training writes, what it computes on, and where it reports to."""

    folder: Path
    device: torch.device
    say: Callable[[str], None]


def wanted_statistics() -> LatentStatistics:
    """Wan 2.1's own: our latents are made to have them, so that the file reads like any other."""
    known = published()["16"]
    return LatentStatistics(tuple(known["mean"]), tuple(known["std"]))


def make_vae(shop: Workshop, seconds: float, shrink: int = 1) -> None:
    """Trains the VAE; goes on from the file that is there."""
    start = load_network(shop) if (shop.folder / VAE_FILE).exists() else None
    network = train_vae(seconds, shop.device, shop.say, start, shrink).to(shop.device)
    mean, std = statistics(network, shop.device)
    shop.say(f"vae: deviations {[round(v, 3) for v in std.tolist()]}")
    wanted = wanted_statistics()
    target = (torch.tensor(wanted.mean), torch.tensor(wanted.std))
    network = with_statistics(network, mean, std, (target[0].to(mean), target[1].to(std)))
    save(network, shop.folder / VAE_FILE)
    shop.say(f"vae: {psnr(load_network(shop), shop.device, 24):.2f} dB on held-back clips, as stored")


def load_network(shop: Workshop, dtype: torch.dtype = torch.float32) -> VaeNetwork:
    network = fresh_vae()
    network.load_state_dict(load_file(shop.folder / VAE_FILE))
    network = network.to(shop.device, dtype).eval()
    if shop.device.type == "cuda":
        channels_last(network)
    return network


def make_flow(shop: Workshop, effort: Effort, seed: int = 1) -> FlowModels:
    """Trains the transformer and the text encoder on the VAE's latents; goes on from a state file."""
    tokenizer = shop.folder / TOKENIZER_FILE
    if not tokenizer.exists():
        tokenizer.write_text(trained_tokenizer(), encoding="utf-8")
    torch.manual_seed(seed)
    models = make_models(tokenizer.read_text(encoding="utf-8"), shop.device)
    master = make_master(models)
    if (shop.folder / STATE_FILE).exists():
        resume(shop, models, master)
        seed += 1
    started = time.monotonic()
    network = load_network(shop, torch.bfloat16)
    quick_norms(network)
    stores = make_stores(network, wanted_statistics().normalise, shop.device, effort, seed)
    shop.say(f"flow: stores filled in {time.monotonic() - started:.0f} s")
    train_flow(models, master, stores, effort, shop.device, shop.say, seed)
    keep(shop, models, master)
    master.use_average()
    return models


def keep(shop: Workshop, models: FlowModels, master: Master) -> None:
    """Writes the averaged weights in half precision, and the state to go on from."""
    half = master.state()
    names = weight_names(models)
    save_file(dict(zip(names, half["average"], strict=True)), shop.folder / FLOW_FILE)
    save_file(dict(zip(names, half["high"], strict=True)), shop.folder / STATE_FILE)


def resume(shop: Workshop, models: FlowModels, master: Master) -> None:
    names = weight_names(models)
    average, high = load_file(shop.folder / FLOW_FILE), load_file(shop.folder / STATE_FILE)

    master.resume({"high": [high[n] for n in names], "average": [average[n] for n in names]})


def weight_names(models: FlowModels) -> list[str]:
    """Names in the files, in the order of `Master`'s weights."""
    return [
        *(f"transformer.{name}" for name, _ in models.transformer.named_parameters()),
        *(f"text.{name}" for name, _ in models.text.named_parameters()),
    ]


def show(shop: Workshop, count: int = 96) -> None:
    """Scores the trained models on held-back prompts and draws a contact sheet."""
    models = make_models((shop.folder / TOKENIZER_FILE).read_text(encoding="utf-8"), shop.device)
    master = make_master(models)
    resume(shop, models, master)
    master.use_average()
    network = load_network(shop, torch.bfloat16)
    quick_norms(network)
    prompts = held_back_prompts()[:count]
    for guidance in (3.0, 5.0):
        sampler = Sampler(models, network, wanted_statistics(), guidance=guidance)
        videos = sampler([p.text for p in prompts], ClipSize(33, 128, 128, 1), shop.device)
        with get_context("fork").Pool(12) as pool:
            size = (count + 11) // 12
            parts = [(videos[i : i + size], prompts[i : i + size]) for i in range(0, count, size)]
            found = pool.starmap(shares, parts)
        mean = {k: sum(f[k] * len(p[1]) for f, p in zip(found, parts, strict=True)) / count for k in found[0]}
        shop.say(f"score, guidance {guidance}: " + ", ".join(f"{k} {v:.3f}" for k, v in sorted(mean.items())))
        write_sheet(videos[:36], shop.folder / f"sheet_{guidance:.0f}.png")
