"""Peak memory of a talking video of one minute and of ten, each in a process of its own. On the CPU.

    OMP_NUM_THREADS=2 python -m benchmarks.talking_memory [--minutes 1,10]    # half an hour

A tiny model with random weights, 32x32, one step: what grows with the length is what would grow with
a large model, beside much smaller constants.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.talking import WORKS, picture, speech
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

    work = WORKS["tiny"]
    lasting = type(work)(work.size, round(minutes * 60 * work.fps), work.fps, (1,), work.window, "cpu", 0)
    inputs = {"image": picture(root / "face.png", work.size), "audio": speech(root / "speech.wav", lasting)}
    request = parse_request({
        "family": "infinitetalk", "inputs": inputs, "size": "32x32", "fps": work.fps, "steps": 1,
        "guidance": (1.0,), "params": {"audio_scale": 1.0, "window": 33, "motion_frame": 5},
    })  # fmt: skip
    engine = Engine(load_settings(device="cpu", models=str(root), model="infinitetalk-tiny"))
    frames = sum(len(event.frames) for event in engine.generate(request) if isinstance(event, Frames))
    assert abs(frames - lasting.frames) <= 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
