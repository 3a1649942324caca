"""How often the shipped model shows what its prompt asks for: `python benchmarks/tiny_score.py`.

Prompts are combinations of colour, shape and motion that no training video had. Every figure is computed
from the frames alone; the same videos are also scored against each other's prompts, and the vision code
against drawn videos, so that the figures mean something.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))

from tools.tiny.corpus.drawn import drawn
from tools.tiny.score.prompts import Prompt, held_back_prompts
from tools.tiny.score.vision import Seen, look

Frames = NDArray[np.uint8]  # [T, H, W, 3]
FACTS = ("colour", "shape", "motion", "background")


@dataclass(frozen=True)
class Outcome:
    """What one prompt gave: from text, and from a first frame (its PSNR in dB)."""

    prompt: Prompt
    drawn: Seen
    made: Seen
    continued: Seen
    psnr: float
    seconds: float


def outcome(prompt: Prompt, seed: int) -> Outcome:
    """Makes the videos of one prompt with the shipped model."""
    truth = drawn(prompt, seed)
    began = perf_counter()
    made = generate({"prompt": prompt.text, "seed": seed})
    seconds = perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        from wancore.media.png import write_png

        write_png(Path(folder) / "first.png", truth[0])
        inputs = {"image": str(Path(folder) / "first.png")}
        continued = generate({"prompt": prompt.text, "seed": seed, "inputs": inputs})
    return Outcome(prompt, look(truth), look(made), look(continued), psnr(truth[0], continued[0]), seconds)


def generate(fields: dict[str, Any]) -> Frames:
    """The frames that the engine gives for a request without a model."""
    from wancore.events import Frames as FramesEvent
    from wancore.request import parse_request

    events = engine().generate(parse_request(fields))
    return np.concatenate([event.frames for event in events if isinstance(event, FramesEvent)])


ENGINES: list[Any] = []


def engine() -> Any:
    """One engine for each process; it keeps the weights."""
    if not ENGINES:
        from wancore.engine.engine import Engine
        from wancore.runtime.settings import load_settings

        ENGINES.append(Engine(load_settings()))
    return ENGINES[0]


def psnr(wanted: Frames, made: Frames) -> float:
    """In dB, of uint8 pictures."""
    error = float(np.mean((wanted.astype(np.float64) - made) ** 2))
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def share(seen: Sequence[Seen], prompts: Sequence[Prompt]) -> dict[str, float]:
    """The share of videos that show each fact as asked for."""
    right: Counter[str] = Counter(dict.fromkeys(FACTS, 0))
    for one, prompt in zip(seen, prompts, strict=True):
        for fact in FACTS:
            wanted = prompt.background if fact == "background" else getattr(prompt.wanted, fact)
            right[fact] += getattr(one, fact) == wanted
    return {fact: round(right[fact] / len(prompts), 4) for fact in FACTS}


def autoencoder(clips: int = 24) -> dict[str, float]:
    """The shipped VAE on clips that no training had, and how far a stream is from the whole at once."""
    import torch

    from tools.tiny.corpus.raster import render
    from tools.tiny.corpus.scene import Frame, draw_scene
    from tools.tiny.learn.autoencoder import decode
    from wancore.embedded import OWN
    from wancore.vae.load import load_vae

    vae = load_vae(OWN.folder / "vae.safetensors", dtype=torch.float32)
    rng, found, apart = np.random.default_rng(99_991), [], 0.0
    for _ in range(clips):
        video = render([draw_scene(rng, Frame(1.0, 1.0), 33 / 16)], 33, 128, 128)[0]
        with torch.no_grad():
            latent = vae.encode(video)
            whole = decode(vae.network, vae.statistics.denormalise(latent[None]))[0].clamp(-1, 1)
            stream = torch.cat(list(vae.decoder_stream().steps(latent)), dim=1)
        found.append(10 * np.log10(4 / float((whole - video).square().mean())))
        apart = max(apart, float((whole - stream).abs().max()))
    return {"PSNR, dB": round(float(np.mean(found)), 2), "stream and whole apart by": apart}


def figures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    prompts = [o.prompt for o in outcomes]
    made = [o.made for o in outcomes]
    order = np.random.default_rng(0).permutation(len(prompts))
    return {
        "prompts": len(prompts),
        "drawn": share([o.drawn for o in outcomes], prompts),
        "text to video": share(made, prompts),
        "text to video, prompts shuffled": share(made, [prompts[i] for i in order]),
        "image to video": share([o.continued for o in outcomes], prompts),
        "image to video, frame 0, dB": round(float(np.mean([o.psnr for o in outcomes])), 2),
        "seconds a video": round(float(np.median([o.seconds for o in outcomes])), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=240)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    args = parser.parse_args()
    prompts = held_back_prompts(args.count)
    with ProcessPoolExecutor(args.processes) as pool:
        outcomes = []
        for i, one in enumerate(pool.map(outcome, prompts, range(len(prompts)))):
            outcomes.append(one)
            print(f"{i + 1}/{len(prompts)} {one.prompt.text}: {one.made}", flush=True)
    found = json.dumps({**figures(outcomes), "autoencoder": autoencoder()}, indent=2)
    print(found)
    if args.out:
        args.out.write_text(found + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
