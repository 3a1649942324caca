"""Adapters merged into the weights themselves: no cost per step, and an exact way back.

The way back is never a subtraction. What was there before is put back: the tensor itself, its copy in
host memory, or the values read again from the file that the model came from.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from wancore.lora.originals import Originals
from wancore.lora.terms import Change
from wancore.quant.weight import Weight

SMALL_BYTES = 1 << 20  # tensors below stay on the GPU while they are replaced


class Merged:
    """One parameter with its change merged in.

    `originals`: what it starts from; where they have a master of a quantised weight, the merged weight is
    quantised once from it. `device`: where merged values are computed, None for where the weight is.
    `error`: what quantising them cost, as sums on the device (see `QuantisationError.read`), None for a plain
    tensor: whoever wants to know waits for them, no merge does.
    """

    def __init__(self, change: Change, originals: Originals, device: torch.device | None = None) -> None:
        self.change, self.slot, self.originals = change, change.slot, originals
        self.device = device or self.slot.device
        self.original = self.slot.held
        self.error: Tensor | None = None
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
        merged = self.change.applied(self.base(), by_adapter)
        if isinstance(self.original, Weight):
            self.quantise(self.original, merged)
        elif self.in_place(self.original):
            self.overwrite(self.original, merged)
        else:
            merged = merged.to(self.original.dtype).to(self.original.device)
            setattr(self.slot.module, self.slot.leaf, parameter(merged))
        return True

    def base(self) -> Tensor:
        """The values before any change, float32, on the computing device."""
        original, name = self.original, self.slot.name
        if isinstance(original, Weight):
            self.put_back()
            master = self.originals.master(name, original)
            return (
                original.at(self.device).values()
                if master is None
                else master.to(self.device, non_blocking=True).float()
            )
        values = self.originals.of(name, original) if self.overwritten else original.detach()
        return values.to(self.device, non_blocking=True).float()

    def quantise(self, original: Weight, merged: Tensor) -> None:
        """In the same format; on a GPU in the same memory, for the reasons of `in_place`."""
        new, self.error = original.at(self.device).requantised(merged)
        if original.device.type != "cuda":
            self.slot.module.weight = new.at(original.device)
            return
        self.originals.before_codes(original)
        self.overwritten = True
        for buffer, values in zip(original.buffers(), new.buffers(), strict=True):
            buffer.copy_(values)

    def overwrite(self, original: nn.Parameter, merged: Tensor) -> None:
        """In its own memory."""
        if not self.overwritten:
            self.originals.before(self.slot.name, original)
        self.overwritten = True
        original.data.copy_(merged)

    def in_place(self, original: nn.Parameter) -> bool:
        """A GPU cannot hold a large model twice, and captured graphs know its addresses. In host memory a
        tensor may be a view of the file and is replaced."""
        large = original.nbytes >= SMALL_BYTES
        return original.is_cuda and large and not self.change.widens

    def put_back(self) -> None:
        """Bit for bit what was there before."""
        original = self.original
        if isinstance(original, Weight):
            if self.overwritten:
                self.originals.put_codes_back(original)
            self.overwritten, self.error = False, None
            self.slot.module.weight = original
            return
        if self.overwritten:
            original.data.copy_(self.originals.of(self.slot.name, original), non_blocking=True)
            self.originals.restored(original)
            self.overwritten = False
        setattr(self.slot.module, self.slot.leaf, original)


def parameter(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values, requires_grad=False)
