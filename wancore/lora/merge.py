"""Adapters merged into the weights themselves: no cost per step, and an exact way back.

The way back is never a subtraction. What was there before is put back: the tensor itself, its copy in
host memory, or the values read again from the file that the model came from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from wancore.lora.terms import Change
from wancore.quant.weight import QuantisationError, Weight, requantise

#: Reads a parameter by its canonical name, in float, as it stands in a file; None if it is not there.
Source = Callable[[str], Tensor | None]
SMALL_BYTES = 1 << 20  # tensors below stay on the GPU while they are replaced


def no_source(name: str) -> Tensor | None:
    return None


class Merged:
    """One parameter with its change merged in.

    `master`: float values of higher precision that a quantised weight was made from; the merged weight is
    then quantised once from them. `source`: see `Source`; spares a copy of what a GPU held.
    `error`: what quantising the merged values cost, None for a plain tensor.
    """

    def __init__(self, change: Change, master: Tensor | None = None, source: Source = no_source) -> None:
        self.change, self.slot = change, change.slot
        self.master, self.source = master, source
        self.original = self.slot.held
        self.backup: Tensor | None = None
        self.error: QuantisationError | None = None
        self.strengths: tuple[float, ...] | None = None
        self.overwritten = False  # whether the original's own memory holds merged values

    def set(self, by_adapter: Sequence[float]) -> bool:
        """Merges with these strengths; nothing happens where they are those that are merged already."""
        strengths = self.change.strengths(by_adapter)
        if strengths == self.strengths:
            return False
        self.strengths = strengths
        if not any(strengths):
            self.put_back()
            return True
        base = self.base()
        merged = self.change.applied(base, by_adapter)
        if isinstance(self.original, Weight):
            self.quantise(self.original, merged)
        else:
            self.write(self.original, merged)
        return True

    def base(self) -> Tensor:
        """The values before any change, float32, where the parameter lives."""
        device = self.slot.device
        if self.master is not None:
            return self.master.to(device=device, dtype=torch.float32)
        original = self.original
        if isinstance(original, Weight):
            return original.values().to(device)
        if self.backup is not None:
            return self.backup.to(device=device, dtype=torch.float32)
        return (self.reread(original) if self.overwritten else original.detach()).to(device).float()

    def quantise(self, original: Weight, merged: Tensor) -> None:
        """In the same format. The weight that was there waits in host memory."""
        device = original.device
        new, self.error = requantise(original, merged)
        self.slot.module.weight = new
        if device.type == "cuda":
            original.to("cpu")
            new.to(device)

    def write(self, original: nn.Parameter, merged: Tensor) -> None:
        if not self.in_place(original):
            setattr(self.slot.module, self.slot.leaf, parameter(merged.to(original.dtype)))
            return
        if not self.overwritten and self.source(self.slot.name) is None:
            self.backup = original.detach().to("cpu", copy=True)
        self.overwritten = True
        original.data.copy_(merged)

    def in_place(self, original: nn.Parameter) -> bool:
        """A GPU cannot hold a large model twice, and captured graphs know its addresses. In host memory a
        tensor may be a view of the file and is replaced."""
        large = original.nbytes >= SMALL_BYTES
        return original.is_cuda and large and not self.change.widens

    def reread(self, original: nn.Parameter) -> Tensor:
        values = self.source(self.slot.name)
        assert values is not None
        return values.to(original.dtype)

    def put_back(self) -> None:
        """Bit for bit what was there before."""
        original = self.original
        if isinstance(original, Weight):
            if self.slot.held is not original:
                device = self.slot.device
                self.slot.module.weight = original.to(device)
            self.error = None
            return
        if self.overwritten:
            original.data.copy_(self.backup if self.backup is not None else self.reread(original))
            self.overwritten, self.backup = False, None
        setattr(self.slot.module, self.slot.leaf, original)


def parameter(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values, requires_grad=False)
