"""Peak memory of a talking video of one minute and of ten, each in a process of its own. On the CPU.

    OMP_NUM_THREADS=2 python -m benchmarks.talking_memory [--minutes 1,10]

A tiny model with random weights, 512x512, one step, windows of 81 frames. Denoiser and VAE are stand-ins that
cost nothing but the memory of what goes in and out; sound, windows and frames are the real ones.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from benchmarks.talking import Work, picture, speech
from benchmarks.talking_model import TINY, write_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", default="1,10")
    parser.add_argument("--one", type=float, help="for this program itself")
    parser.add_argument("--root", type=Path)
    given = parser.parse_args()
    if given.one is not None:
        print(peak(given.root, given.one))
        return
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder), TINY, "cpu")
        peaks = {}
        for minutes in given.minutes.split(","):
            command = [sys.executable, "-m", "benchmarks.talking_memory", "--one", minutes, "--root", folder]
            peaks[minutes] = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            first = next(iter(peaks.values()))
            print(f"{minutes} min: {peaks[minutes] / 1e6:.1f} MB, {peaks[minutes] / first:.3f}", flush=True)


def peak(root: Path, minutes: float) -> int:
    """Bytes of resident memory at most."""
    from wancore.engine import Engine
    from wancore.events import Frames
    from wancore.request import parse_request
    from wancore.runtime.settings import load_settings

    stand_in()
    fps, size = 25, (512, 512)
    lasting = Work(size, round(minutes * 60 * fps), fps, (1,), 81, "cpu", 0)
    inputs = {"image": picture(root / "face.png", size), "audio": speech(root / "speech.wav", lasting)}
    request = parse_request({
        "family": "infinitetalk", "inputs": inputs, "size": "512x512", "fps": fps, "steps": 1,
        "guidance": (1.0,), "params": {"audio_scale": 1.0, "color_correction": 0.0},
    })  # fmt: skip
    engine = Engine(load_settings(device="cpu", models=str(root), model="infinitetalk-tiny"))
    frames = sum(len(event.frames) for event in engine.generate(request) if isinstance(event, Frames))
    assert abs(frames - lasting.frames) <= 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def stand_in() -> None:
    """A denoiser that predicts nothing, a VAE that repeats the latent, and no loading."""
    from wancore_talking.parity_loop import LoopVae

    from wancore.engine.expert import LoadedExpert
    from wancore.engine.models import Models

    LoadedExpert.predict = lambda self, inputs: torch.zeros_like(inputs.latents[:16])  # type: ignore[method-assign]
    Models.vae = property(lambda self: LoopVae(scale=1.0))  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    main()
