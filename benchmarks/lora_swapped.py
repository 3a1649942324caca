"""LoRAs on blocks that wait in host memory, beside the same forward without one, and with all on the GPU."""

from __future__ import annotations

from pathlib import Path

import torch

from benchmarks.lora_case import Setup, Table, Timer, forward, lora, model
from wancore.engine.units import swap_of
from wancore.lora.choose import Mode
from wancore.lora.runtime import LoraOptions, Target, apply_loras
from wancore.runtime.swap import Swap
from wancore.transformer.model import WanTransformer


def swapped(setup: Setup) -> tuple[WanTransformer, Swap]:
    """No block stays; two slots, as with a small budget."""
    made = model(setup)
    swap = swap_of(made, {}, setup.device)
    swap.engage()
    return made, swap


def swapped_forwards(setup: Setup, resident: WanTransformer, file: Path, table: Table) -> None:
    timer = Timer(setup)
    without, swap = swapped(setup)
    calls = [forward(setup, resident), forward(setup, without)]
    against, times = timer.in_turn(calls)
    nbytes = sum(unit.nbytes for unit in swap.swapped if not unit.rare) / setup.blocks
    name = f"bf16, {setup.tokens} tokens, all blocks swapped"
    table.add(f"{name}, no LoRA", times, against, f"base: resident; {nbytes / 1e6:.0f} MB a block")
    modes: tuple[Mode, ...] = ("merged", "on-the-fly", "streaming")
    for mode in modes:
        base, own = swapped(setup)
        prefixes = tuple(f"{unit.name}." for unit in own.units)
        target = Target(base, swapped=prefixes, editing=own.editing, device=setup.device)
        with timer.once() as applying:
            applied = apply_loras(target, [lora(file)], LoraOptions(mode))
        against, times = timer.in_turn([calls[1], forward(setup, base)])
        nbytes = sum(unit.nbytes for unit in own.swapped if not unit.rare) / setup.blocks
        with timer.once() as restoring:
            applied.restore()
        on, off = applying[0] / setup.blocks, restoring[0] / setup.blocks
        note = f"{nbytes / 1e6:.0f} MB a block; put on in {on:.0f} ms a block, off in {off:.0f}"
        table.add(f"{name}, {mode}", times, against, note)
        own.release()
        del base, own, target, applied
        if setup.device.type == "cuda":
            torch.cuda.empty_cache()
    swap.release()
