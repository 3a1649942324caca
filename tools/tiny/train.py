"""Trains the model that wancore ships, from nothing.

    python -m tools.tiny.train --out build/tiny
    python -m tools.tiny.export build/tiny wancore/embedded/model

About half an hour on one H100: 6 minutes for the VAE, while the text encoder learns on the CPU, 21 for the
transformer, and 3 for the decoder once more. `--stage flow` goes on with the transformer in the folder,
`--from` the point of the schedule that it had come to. `--shrink 50` rehearses on a CPU.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import torch

from tools.tiny.learn.flow import Effort
from tools.tiny.learn.stages import (
    TEXT_FILE,
    VAE_FILE,
    Workshop,
    finish_decoder,
    make_flow,
    make_text,
    make_vae,
)

VAE_SECONDS, TEXT_SECONDS, FLOW_SECONDS = 380.0, 350.0, 1235.0
DECODER_SECONDS = 150.0
TEXT_THREADS = 6


def main() -> None:
    args = parser().parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() and not args.cpu else "cpu")
    torch.set_float32_matmul_precision("high")
    args.out.mkdir(parents=True, exist_ok=True)
    shop = Workshop(args.out, device, lambda line: print(line, flush=True))
    match args.stage:
        case "vae":
            make_vae(shop, args.vae_seconds, args.shrink)
        case "text":
            torch.set_num_threads(TEXT_THREADS)
            make_text(shop, args.text_seconds, args.shrink)
        case "flow":
            make_flow(shop, effort_of(args))
        case "decoder":
            finish_decoder(shop, args.decoder_seconds, args.shrink)
        case "all":
            make_parts(args, shop)
            make_flow(shop, effort_of(args))
            finish_decoder(shop, args.decoder_seconds, args.shrink)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--out", type=Path, required=True, help="folder for what is trained, and to go on from")
    made.add_argument("--stage", choices=("vae", "text", "flow", "decoder", "all"), default="all")
    made.add_argument("--vae-seconds", type=float, default=VAE_SECONDS)
    made.add_argument("--text-seconds", type=float, default=TEXT_SECONDS)
    made.add_argument("--flow-seconds", type=float, default=FLOW_SECONDS)
    made.add_argument("--decoder-seconds", type=float, default=DECODER_SECONDS)
    made.add_argument("--shrink", type=int, default=1, help="divides batches, to rehearse on a CPU")
    made.add_argument("--from", type=float, default=0.0, dest="start", help="point of the flow's schedule")
    made.add_argument("--plain", action="store_true", help="neither compile nor record the flow's steps")
    made.add_argument("--cpu", action="store_true", help="leave a GPU alone")
    return made


def effort_of(args: argparse.Namespace) -> Effort:
    fast = not args.plain
    return Effort(args.flow_seconds, args.start, args.shrink, record=fast, compiled=fast)


def make_parts(args: argparse.Namespace, shop: Workshop) -> None:
    """The VAE, and beside it, in a process of its own on the CPU, the text encoder; each if it is missing."""
    text = None
    if not (args.out / TEXT_FILE).exists():
        given = ("--text-seconds", str(args.text_seconds), "--shrink", str(args.shrink))
        command = (sys.executable, "-m", "tools.tiny.train", "--stage", "text", "--cpu")
        text = subprocess.Popen([*command, "--out", str(args.out), *given])
    if not (args.out / VAE_FILE).exists():
        make_vae(shop, args.vae_seconds, args.shrink)
    if text is not None and text.wait() != 0:
        raise SystemExit("the text encoder's training failed")


if __name__ == "__main__":
    main()
