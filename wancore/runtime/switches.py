"""PyTorch's switches for a GPU, each with its reason, and what a user may set them to.

The switches belong to the process, as settings do: they are set once, before the first computation.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Literal, Protocol

import torch

from wancore.runtime.gpu import Gpu

Choice = Literal["auto", "on", "off"]
ALLOCATOR_VARIABLES = ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF")
ALLOCATOR = "expandable_segments:True,garbage_collection_threshold:0.8"


class Wishes(Protocol):
    """The settings that decide; see `wancore.runtime.settings.Settings`."""

    @property
    def bf16_reduction(self) -> Choice: ...
    @property
    def tf32(self) -> Choice: ...
    @property
    def cudnn_benchmark(self) -> Choice: ...
    @property
    def allocator(self) -> str: ...
    @property
    def dtype(self) -> str: ...


@dataclass(frozen=True)
class Switch:
    """`source`: "table", or the setting or variable that decided."""

    name: str
    value: bool | str
    reason: str
    source: str = "table"


def switches(gpu: Gpu, wishes: Wishes) -> list[Switch]:
    """What holds on this GPU."""
    exact = wishes.dtype == "float32"
    return [
        reduction(gpu, wishes.bf16_reduction),
        asked_or(
            wishes.tf32,
            "tf32 in convolutions",
            not exact,
            "a float32 model was asked for: what is computed in float32 must match to 1e-4"
            if exact
            else "as upstream runs a float32 VAE: errors of 1e-3, at several times the speed",
            "tf32",
        ),
        asked_or(
            wishes.tf32,
            "tf32 in products",
            False,
            "timesteps and the head are float32 products of a few rows: exact costs nothing",
            "tf32",
        ),
        asked_or(
            wishes.cudnn_benchmark,
            "cudnn benchmark",
            True,
            "a VAE repeats a few shapes of convolutions hundreds of times",
            "cudnn_benchmark",
        ),
        Switch(
            "flash sdpa", gpu.capability >= (8, 0), "FlashAttention-2 of PyTorch, from Ampere on"
        ),
        Switch(
            "memory-efficient sdpa", True, "serves float32, wide heads and masks without a map of all pairs"
        ),
        Switch(
            "cudnn sdpa",
            gpu.capability >= (9, 0),
            "the fastest of PyTorch's from Hopper on; before, flash is as fast and better known",
        ),
    ]  # fmt: skip


def reduction(gpu: Gpu, choice: Choice) -> Switch:
    """Partial sums of a bf16 product in bf16, where the product is split along its inner axis."""
    name, setting = "bf16 reduced-precision reduction", "bf16_reduction"
    ada_like = gpu.capability >= (12, 0) or (gpu.capability[:1] == (8,) and gpu.capability >= (8, 9))
    if ada_like:
        why = "without large matrix units, products wait for arithmetic: float32 sums cost nothing"
    else:
        why = "products that are split wait for memory: half the bytes of their partial sums"
    return asked_or(choice, name, gpu.capability >= (8, 0) and not ada_like, why, setting)


def asked_or(choice: Choice, name: str, value: bool, reason: str, setting: str) -> Switch:
    if choice == "auto":
        return Switch(name, value, reason)
    return Switch(name, choice == "on", "asked for", f"setting {setting}")


APPLY: dict[str, Callable[[bool], None]] = {
    "bf16 reduced-precision reduction": lambda on: setattr(
        torch.backends.cuda.matmul, "allow_bf16_reduced_precision_reduction", on
    ),
    "tf32 in convolutions": lambda on: setattr(torch.backends.cudnn, "allow_tf32", on),
    "tf32 in products": lambda on: setattr(torch.backends.cuda.matmul, "allow_tf32", on),
    "cudnn benchmark": lambda on: setattr(torch.backends.cudnn, "benchmark", on),
    "flash sdpa": torch.backends.cuda.enable_flash_sdp,
    "memory-efficient sdpa": torch.backends.cuda.enable_mem_efficient_sdp,
    "cudnn sdpa": torch.backends.cuda.enable_cudnn_sdp,
}


def apply(chosen: list[Switch]) -> None:
    for switch in chosen:
        APPLY[switch.name](bool(switch.value))


def allocator(wishes: Wishes, environment: MutableMapping[str, str] = os.environ) -> Switch:
    """What the allocator is told, with its reason; nothing is set."""
    name = "allocator"
    for variable in ALLOCATOR_VARIABLES:
        if variable in environment:
            return Switch(name, environment[variable], "set outside", f"variable {variable}")
    if wishes.allocator != "auto":
        return Switch(
            name, "" if wishes.allocator == "default" else wishes.allocator, "asked for", "setting allocator"
        )
    if not sys.platform.startswith("linux"):
        return Switch(name, "", "expandable segments need Linux")
    reason = "segments that grow leave no holes when sizes change; unused ones go back at 80 % of the memory"
    return Switch(name, ALLOCATOR, reason)


def set_allocator(wishes: Wishes, environment: MutableMapping[str, str] = os.environ) -> Switch:
    """Tells the allocator, which reads its variable at the first allocation; too late, it stays as it is."""
    switch = allocator(wishes, environment)
    if switch.value and switch.source.partition(" ")[0] != "variable" and not torch.cuda.is_initialized():
        environment[ALLOCATOR_VARIABLES[0]] = str(switch.value)
    return switch
