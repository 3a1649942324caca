"""The parameters of a model that adapters can change, whatever form they are held in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wancore.errors import WancoreError
from wancore.lora.deltas import Shape
from wancore.quant.linear import Linear
from wancore.quant.weight import Weight, dense_weight


@dataclass(frozen=True)
class Slot:
    """One parameter: `leaf` of `module`, a tensor or a quantised weight.

    `name`: canonical. `in_blocks`: it lies in a list of blocks, whose linears every token passes at
    every step; the few rows that other layers see make them cheap whatever is done.
    """

    name: str
    module: nn.Module
    leaf: str
    in_blocks: bool

    @property
    def held(self) -> nn.Parameter | Weight:
        """What holds the values now."""
        held = getattr(self.module, self.leaf)
        assert isinstance(held, nn.Parameter | Weight)
        return held

    @property
    def quantised(self) -> bool:
        return isinstance(self.held, Weight)

    @property
    def shape(self) -> Shape:
        return tuple(self.held.shape)

    @property
    def device(self) -> torch.device:
        return self.held.device

    @property
    def format(self) -> str:
        held = self.held
        return held.format if isinstance(held, Weight) else weight_format_of(held)

    @property
    def block_linear(self) -> bool:
        """Whether this is the weight of a linear that can take a branch beside it."""
        return self.in_blocks and self.leaf == "weight" and isinstance(self.module, nn.Linear | Linear)

    def values_on(self, device: torch.device) -> Tensor:
        """The values as they are now, float32 on `device`, wherever its parts wait."""
        held = self.held
        return held.at(device).values() if isinstance(held, Weight) else held.detach().to(device).float()

    def dense(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The values as they are now, of a parameter whose parts are all where it computes."""
        if self.leaf == "weight":
            return dense_weight(self.module, dtype).detach()
        held = self.held
        assert isinstance(held, nn.Parameter)
        return held.detach().to(dtype)


def weight_format_of(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def find_slots(modules: Sequence[nn.Module]) -> dict[str, Slot]:
    """The parameters of a model and the modules attached to it, by canonical name.

    Raises `WancoreError` where two modules have a parameter of one name.
    """
    slots: dict[str, Slot] = {}
    for module in modules:
        for slot in slots_of(module):
            if slot.name in slots:
                raise WancoreError(f"two attached modules have a parameter {slot.name!r}")
            slots[slot.name] = slot
    return slots


def slots_of(root: nn.Module) -> Iterator[Slot]:
    lists = [name + "." for name, module in root.named_modules() if isinstance(module, nn.ModuleList)]
    for path, module in root.named_modules():
        if isinstance(module, Weight):
            continue
        in_blocks = any(path.startswith(one) for one in lists)
        prefix = path + "." if path else ""
        for leaf, parameter in module.named_parameters(recurse=False):
            del parameter
            yield Slot(prefix + leaf, module, leaf, in_blocks)
        if isinstance(getattr(module, "weight", None), Weight):
            yield Slot(prefix + "weight", module, "weight", in_blocks)


def compute_dtype(root: nn.Module) -> torch.dtype:
    """What a model computes in: the type of its first float parameter that is not quantised."""
    for parameter in root.parameters():
        if parameter.is_floating_point() and parameter.itemsize > 1:
            return parameter.dtype
    return torch.float32
