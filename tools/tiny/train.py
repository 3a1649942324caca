"""Trains the model that wancore ships, from nothing.

    python -m tools.tiny.train --out build/tiny
    python -m tools.tiny.export build/tiny wancore/embedded/model

About 8 minutes for the VAE and 12 for the transformer and text encoder on one H100. What is in the
folder already is gone on with: a VAE with `--stage vae`, the others with `--stage flow --from`, the point
of the schedule that they had come to. `--shrink 50` rehearses on a CPU.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from tools.tiny.learn.flow import Effort
from tools.tiny.learn.stages import VAE_FILE, Workshop, make_flow, make_vae, show

VAE_SECONDS, FLOW_SECONDS = 490.0, 720.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for what is trained, and to go on from"
    )
    parser.add_argument("--stage", choices=("vae", "flow", "score", "all"), default="all")
    parser.add_argument("--vae-seconds", type=float, default=VAE_SECONDS)
    parser.add_argument("--flow-seconds", type=float, default=FLOW_SECONDS)
    parser.add_argument("--shrink", type=int, default=1, help="divides batches, to rehearse on a CPU")
    parser.add_argument("--from", type=float, default=0.0, dest="start", help="point of the flow's schedule")
    parser.add_argument(
        "--to", type=float, default=1.0, dest="end", help="0..1; a run to less is gone on with"
    )
    parser.add_argument("--plain", action="store_true", help="do not record CUDA graphs of the flow's steps")
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_float32_matmul_precision("high")
    args.out.mkdir(parents=True, exist_ok=True)
    shop = Workshop(args.out, device, lambda line: print(line, flush=True))
    if args.stage in ("vae", "all") and not (args.stage == "all" and (args.out / VAE_FILE).exists()):
        make_vae(shop, args.vae_seconds, args.shrink)
    if args.stage in ("flow", "all"):
        make_flow(shop, Effort(args.flow_seconds, args.start, args.end, args.shrink, record=not args.plain))
    if args.stage in ("score", "all"):
        show(shop)


if __name__ == "__main__":
    main()
