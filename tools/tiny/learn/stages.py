"""The stages of the training, each from files to files, so that a run can stop between them and go on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tools.tiny.learn.autoencoder import psnr, quick_norms, save, statistics, train_vae, with_statistics
from tools.tiny.learn.decoder import train_decoder
from tools.tiny.learn.flow import Effort, FlowModels, FlowTraining, make_master, make_models
from tools.tiny.learn.latents import MAIN, OTHERS, ClipSize, Store
from tools.tiny.learn.master import Master
from tools.tiny.learn.reading import train_reader
from tools.tiny.learn.sampling import Sampler, shares, write_sheet
from tools.tiny.learn.sizes import fresh_vae
from tools.tiny.learn.words import trained_tokenizer
from tools.tiny.score.prompts import held_back_prompts
from wancore.vae.load import channels_last
from wancore.vae.network import VaeNetwork
from wancore.vae.statistics import LatentStatistics, published

VAE_FILE, TEXT_FILE = "vae.safetensors", "text.safetensors"
FLOW_FILE, STATE_FILE = "flow.safetensors", "state.safetensors"
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
    mean, std = statistics(network, shop.device, max(192 // shrink, 16))
    shop.say(f"vae: deviations {[round(v, 3) for v in std.tolist()]}")
    wanted = wanted_statistics()
    target = (torch.tensor(wanted.mean), torch.tensor(wanted.std))
    network = with_statistics(network, mean, std, (target[0].to(mean), target[1].to(std)))
    save(network, shop.folder / VAE_FILE)
    quality = psnr(load_network(shop), shop.device, max(24 // shrink, 4))
    shop.say(f"vae: {quality:.2f} dB on held-back clips, as stored")


def finish_decoder(shop: Workshop, seconds: float, shrink: int = 1) -> None:
    """Trains the decoder further, on what the encoder gives for faces as well; latents stay as they are."""
    network = train_decoder(load_network(shop), seconds, shop.device, shop.say, shrink)
    save(network, shop.folder / VAE_FILE)
    quality = psnr(load_network(shop), shop.device, max(24 // shrink, 4))
    shop.say(f"decoder: {quality:.2f} dB on held-back clips, as stored")


def load_network(shop: Workshop, dtype: torch.dtype = torch.float32) -> VaeNetwork:
    network = fresh_vae()
    network.load_state_dict(load_file(shop.folder / VAE_FILE))
    network = network.to(shop.device, dtype).eval()
    if shop.device.type == "cuda":
        channels_last(network)
    return network


def make_text(shop: Workshop, seconds: float, shrink: int = 1) -> None:
    """Makes the tokenizer and trains the text encoder."""
    tokenizer = trained_tokenizer()
    stack = train_reader(tokenizer, seconds, shop.device, shop.say, shrink)
    (shop.folder / TOKENIZER_FILE).write_text(tokenizer, encoding="utf-8")
    weights = {name: t.half().cpu() for name, t in stack.state_dict().items()}
    write(weights, shop.folder / TEXT_FILE)


def make_flow(shop: Workshop, effort: Effort, seed: int = 1) -> None:
    """Trains the transformer on the VAE's latents; goes on from a state file."""
    torch.manual_seed(seed)
    models, network = load_models(shop), encoder_of(shop)
    master = make_master(models)
    if (shop.folder / STATE_FILE).exists():
        resume(shop, models, master)
        seed += 1

    def make_store(size: ClipSize) -> Store:
        capacity = max(int(effort.capacity * size.share) // effort.shrink, 16)
        normalise = wanted_statistics().normalise
        store = Store(
            size, capacity, network, normalise, models.captions, shop.device, seed * 100 + size.tokens
        )
        while store.renewed < capacity // 4:
            store.accept(store.prepare(min(16, capacity // 4)))
        return store

    with ProcessPoolExecutor(8, mp_context=get_context("spawn")) as pool:
        looker = Looker(shop, models, network, pool, count=96 if shop.device.type == "cuda" else 4)

        def look(point: float) -> None:
            keep(shop, models, master)
            master.use_average()
            looker(f"at {point:.3f}")
            master.use_current()

        FlowTraining(models, master, make_store, effort, shop.device, shop.say).train(
            MAIN, OTHERS, look, seed
        )
        look(1.0)
        looker.tell()


def load_models(shop: Workshop) -> FlowModels:
    """A fresh transformer beside the trained text encoder."""
    models = make_models((shop.folder / TOKENIZER_FILE).read_text(encoding="utf-8"), shop.device)
    models.text.load_state_dict(load_file(shop.folder / TEXT_FILE), strict=False)
    return models


def encoder_of(shop: Workshop) -> VaeNetwork:
    network = load_network(shop, torch.bfloat16)
    quick_norms(network)
    return network


def keep(shop: Workshop, models: FlowModels, master: Master) -> None:
    """Writes the averaged weights in half precision, and the state to go on from."""
    half = master.state()
    names = weight_names(models)
    write(dict(zip(names, half["average"], strict=True)), shop.folder / FLOW_FILE)
    write(dict(zip(names, half["high"], strict=True)), shop.folder / STATE_FILE)


def write(weights: dict[str, Tensor], file: Path) -> None:
    """Whole or not at all: others may copy the file at any time."""
    save_file(weights, file.with_suffix(".part"))
    file.with_suffix(".part").replace(file)


def resume(shop: Workshop, models: FlowModels, master: Master) -> None:
    names = weight_names(models)
    average, high = load_file(shop.folder / FLOW_FILE), load_file(shop.folder / STATE_FILE)
    master.resume({"high": [high[n] for n in names], "average": [average[n] for n in names]})


def weight_names(models: FlowModels) -> list[str]:
    """Names in the files, in the order of `Master`'s weights."""
    return [name for name, _ in models.transformer.named_parameters()]


class Looker:
    """Scores the models on held-back prompts while they train, and draws a contact sheet.

    The videos are made at once; looking at them is left to the processes of `pool`.
    """

    def __init__(
        self, shop: Workshop, models: FlowModels, network: VaeNetwork, pool: Executor, count: int
    ) -> None:
        self.shop, self.models, self.network, self.pool = shop, models, network, pool
        self.prompts = held_back_prompts()[:count]
        self.waiting: list[tuple[str, list[Future[dict[str, float]]]]] = []

    def __call__(self, when: str) -> None:
        self.tell()
        for guidance in (3.0, 5.0):
            sampler = Sampler(self.models, self.network, wanted_statistics(), guidance=guidance)
            videos = sampler([p.text for p in self.prompts], MAIN, self.shop.device)
            parts = [
                self.pool.submit(shares, list(videos[i : i + 12]), self.prompts[i : i + 12])
                for i in range(0, len(self.prompts), 12)
            ]
            self.waiting.append((f"{when}, guidance {guidance}", parts))
            write_sheet(videos[:24], self.shop.folder / f"sheet_{guidance:.0f}.png")

    def tell(self) -> None:
        """Reports what is known by now of earlier looks, waiting for it."""
        for when, parts in self.waiting:
            found = [part.result() for part in parts]
            mean = {name: float(np.mean([f[name] for f in found])) for name in found[0]}
            self.shop.say(f"score {when}: " + ", ".join(f"{k} {v:.3f}" for k, v in sorted(mean.items())))
        self.waiting.clear()
