"""Another merged LoRA instead of the one that is on, and the least that this could take."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gpu import copy_bandwidth
from benchmarks.lora_case import BLOCKS_OF_14B, Setup, Table, Timer
from benchmarks.rates import host_copy_rate
from wancore.lora.applied import Lora
from wancore.lora.held import Shelf
from wancore.lora.originals import Place
from wancore.lora.runtime import LoraOptions, Target, apply_loras
from wancore.lora.spec import LoraSpec


@dataclass(frozen=True)
class Rates:
    """Bytes per second, measured in this run; None on a CPU. `device`: read and written by a copy there;
    `host`: from pinned memory to it."""

    device: float | None
    host: float | None

    @classmethod
    def measured(cls, setup: Setup) -> Rates:
        if setup.device.type != "cuda":
            return cls(None, None)
        rates = cls(copy_bandwidth(), host_copy_rate())
        print(f"| copies | | | | {rates.device / 1e12:.2f} TB/s, from the host {rates.host / 1e9:.1f} GB/s |")  # type: ignore[operator]
        return rates

    def least(self, setup: Setup, place: Place, files: list[Path], fp8: bool) -> float | None:
        """Milliseconds for reading each original once, writing each weight once, and the factors."""
        if self.device is None or self.host is None:
            return None
        dim, ffn = setup.config.dim, setup.config.ffn_dim
        elements = setup.blocks * (8 * dim * dim + 2 * dim * ffn)
        originals, weights = 2 * elements, (1 if fp8 else 2) * elements
        factors = files[0].stat().st_size
        if place == "device":
            return 1e3 * (factors / self.host + (originals + weights) / self.device)
        return 1e3 * (factors + originals) / self.host


def change(setup: Setup, target: Target, files: list[Path], place: Place, table: Table, rates: Rates) -> None:
    """Files in (pinned) memory; after the first change, which keeps the originals."""
    shelf, timer = Shelf(pinned=setup.device.type == "cuda"), Timer(setup)
    for file in files:
        shelf.hold(file)
    held = [Lora(LoraSpec(name=f.name), f, shelf.get(f)) for f in files]
    options = LoraOptions("merged")
    applied = apply_loras(target, [held[0]], options)
    times, parts, errors = [], [], []
    for i in (1, 0, 1, 0)[: 4 if place == "device" else 2]:
        with timer.once() as took:
            with timer.once() as restoring:
                applied.restore()
            applied = apply_loras(target, [held[i]], options)
        times.append(took[0])
        parts.append(restoring[0])
        with timer.once() as asking:
            applied.describe()
        errors.append(asking[0])
    with timer.once() as stronger:
        applied.set_strengths([0.5])
    fp8 = bool(applied.errors())
    applied.restore()
    many = BLOCKS_OF_14B / setup.blocks
    least = rates.least(setup, place, files, fp8)
    floor = f", floor {least * many:.0f}" if least is not None else ""
    note = (
        f"for 40 blocks {min(times[1:]) * many:.0f} ms{floor}; of it restoring "
        f"{statistics.median(parts) * many:.0f}; reading the errors {statistics.median(errors) * many:.1f}; "
        f"a new strength {stronger[0] * many:.0f}"
    )
    what = "fp8 from the bf16 master" if fp8 else "bf16"
    table.add(f"change of LoRA, {what}, originals: {place}", times[1:], note=note)
