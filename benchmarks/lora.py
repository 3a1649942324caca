"""What LoRAs cost: merged, beside the linears, streamed, on blocks in host memory, and when they change.

    python -m benchmarks.lora                     on a GPU, at the shape of Wan 2.1 T2V-14B
    python -m benchmarks.lora --tiny --cpu        a dry run: the path, no figures

Rank 64 on all ten linears of each block. A few blocks stand for 40, since every block costs the same; what is
outside them, in every row once, makes shares of the whole look smaller by its part. Weights are random. With
and without adapters are two models of the same weights, measured in turn; diffusers and peft in the same run.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from benchmarks.gpu import busy
from benchmarks.gpu import describe as state
from benchmarks.lora_case import Setup, Table, Timer, fill, forward, lora, model, write_lora
from benchmarks.lora_change import Rates, change
from benchmarks.lora_swapped import swapped_forwards
from wancore.checkpoints.open import open_view
from wancore.lora.choose import Mode
from wancore.lora.originals import Originals, Place
from wancore.lora.runtime import LoraOptions, Target, apply_loras
from wancore.transformer.config import TransformerConfig
from wancore.transformer.fp8 import join_linears, use_fp8
from wancore.transformer.model import WanTransformer

PARTS = ("bf16", "peer", "swapped", "change", "fp8")
LONGER = (21, 30, 52)  # tokens by frame, row and column at 480x832x81


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="small sizes")
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--parts", default=",".join(PARTS), help="which of " + ",".join(PARTS))
    given = parser.parse_args()
    parts = given.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"--parts {', '.join(sorted(unknown))}: accepted are {', '.join(PARTS)}")
    device = torch.device("cpu" if given.cpu else "cuda")
    dim, ffn, heads = (256, 512, 2) if given.tiny else (5120, 13824, 40)
    config = TransformerConfig(dim, ffn, heads, given.blocks, 16, 16)
    canvas = (3, 4, 4) if given.tiny else (21, 32, 32)
    setup = Setup(config, canvas, device, given.rank, given.rounds)
    if device.type == "cuda":
        busy()
        print(state())
    describe(setup)
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        run(setup, Path(folder), parts)
    if device.type == "cuda":
        print("afterwards:", state())


def describe(setup: Setup) -> None:
    name = torch.cuda.get_device_name() if setup.device.type == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}; {setup.config}; {setup.tokens} tokens, rank {setup.rank}")
    columns = setup.rank * setup.blocks
    dim, ffn, tokens = setup.config.dim, setup.config.ffn_dim, setup.tokens
    ins, outs = 6 * dim + dim + ffn, 6 * dim + ffn + dim  # of what every token passes: q k v o q o, ffn
    read_once = dim + dim + dim + dim + dim + ffn  # q, k and v share their input
    carried = 2 * setup.blocks * tokens * read_once
    apart = carried + 2 * setup.blocks * tokens * 2 * outs
    flops = 2 * tokens * columns * (ins + outs)
    print(
        f"low-rank branch: {flops / 1e9:.0f} GFLOP a forward and at least {carried / 1e9:.2f} GB moved where "
        f"products carry it, {apart / 1e9:.2f} GB elsewhere"
    )
    print("| what | ms | base, ms | of its base | |\n|---|---|---|---|---|")


def run(setup: Setup, folder: Path, parts: list[str]) -> None:
    files = [write_lora(setup, folder / f"{i}.safetensors", seed=i) for i in range(2)]
    table, timer = Table(), Timer(setup)
    plain, base = model(setup), model(setup)
    source = folder / "base.safetensors"
    save_file({name: p.detach().cpu() for name, p in base.named_parameters()}, str(source))
    rates = Rates.measured(setup)
    places: tuple[Place, ...] = ("device", "host", "file")
    if "bf16" in parts:
        forwards(setup, plain, base, "bf16", files, table, timer)
    if "peer" in parts:
        peer(setup, files[0], table, timer)
    if "swapped" in parts:
        for canvas in (setup.canvas, LONGER if setup.device.type == "cuda" else setup.canvas):
            swapped_forwards(setup.with_canvas(canvas), plain, files[0], table)
    if "change" in parts:
        for place in places:
            target = Target(base, originals=Originals(place, source=open_view(source)))
            change(setup, target, files, place, table, rates)
    if "fp8" not in parts:
        return
    for one in (plain, base):
        use_fp8(one, setup.device)
        join_linears(one)
    forwards(setup, plain, base, "fp8 rows", files, table, timer)
    for place in places if "change" in parts else ():
        target = Target(base, originals=Originals(place, master=open_view(source)))
        change(setup, target, files, place, table, rates)


def forwards(
    setup: Setup,
    plain: WanTransformer,
    base: WanTransformer,
    name: str,
    files: list[Path],
    table: Table,
    timer: Timer,
) -> None:
    """`plain` and `base` have the same weights; `base` gets the adapters."""
    without, call = forward(setup, plain), forward(setup, base)
    modes: tuple[Mode, ...] = ("merged", "on-the-fly", "streaming")
    for mode in modes[: 3 if name == "bf16" else 2]:
        with apply_loras(base, [lora(files[0])], LoraOptions(mode)) as applied:
            note = applied.describe().splitlines()[-1].removeprefix("LoRA: ")
            against, times = timer.in_turn([without, call])
            table.add(f"{name}, {mode}", times, against, note)
    with apply_loras(base, [lora(file) for file in files], LoraOptions("on-the-fly")):
        against, times = timer.in_turn([without, call])
        table.add(f"{name}, on-the-fly, two LoRAs", times, against)


def peer(setup: Setup, file: Path, table: Table, timer: Timer) -> None:
    """diffusers' transformer with peft."""
    try:
        import diffusers
        import peft
    except ImportError as error:
        print(f"no peer: {error}")
        return
    plain, made = theirs(setup), theirs(setup)
    name = f"diffusers {diffusers.__version__} + peft {peft.__version__}"
    with timer.once() as loading:
        made.load_lora_adapter(str(file), prefix="transformer")
    against, times = timer.in_turn([their_forward(setup, plain), their_forward(setup, made)])
    table.add(f"{name}, unfused", times, against, f"loaded in {loading[0]:.0f} ms")
    with timer.once() as fusing:
        made.fuse_lora()
    against, times = timer.in_turn([their_forward(setup, plain), their_forward(setup, made)])
    table.add(f"{name}, fused", times, against, f"fused in {fusing[0]:.0f} ms")
    with timer.once() as unfusing:
        made.unfuse_lora()
    table.add(f"{name}, change of LoRA (fused)", [fusing[0] + unfusing[0] + loading[0]])


def theirs(setup: Setup) -> Any:
    import diffusers

    c = setup.config
    with torch.device(setup.device):
        made = diffusers.WanTransformer3DModel(
            num_attention_heads=c.num_heads, attention_head_dim=c.head_dim, in_channels=16, out_channels=16,
            text_dim=c.text_dim, freq_dim=c.freq_dim, ffn_dim=c.ffn_dim, num_layers=c.num_layers,
        )  # fmt: skip
    made = made.to(setup.dtype).requires_grad_(False).eval()
    fill(made, setup)
    return made


def their_forward(setup: Setup, made: Any) -> Any:
    frames, rows, columns = setup.canvas
    latents = setup.noise(1, 16, frames, 2 * rows, 2 * columns, seed=2)
    text = setup.noise(1, 512, setup.config.text_dim, seed=1)
    t = torch.tensor([700.0], device=setup.device)
    return lambda: made(latents, t, text, return_dict=False)[0]


if __name__ == "__main__":
    main()
