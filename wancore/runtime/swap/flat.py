"""Many tensors in one flat buffer, so that one copy moves them all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

ALIGNMENT = 256  # bytes; what the allocator gives, and what kernels may assume


@dataclass(frozen=True)
class Held:
    """A parameter or buffer by the module that owns it: its tensor may be exchanged."""

    module: nn.Module
    name: str

    @property
    def tensor(self) -> Tensor:
        owner = self.module._parameters if self.name in self.module._parameters else self.module._buffers
        tensor = owner[self.name]
        assert tensor is not None
        return tensor.detach()

    def put(self, tensor: Tensor) -> None:
        """The parameter stays the same object: adapters that replaced it put that object back."""
        parameter = self.module._parameters.get(self.name)
        if parameter is not None:
            parameter.data = tensor
        else:
            self.module._buffers[self.name] = tensor


def held_by(modules: Iterable[nn.Module]) -> list[Held]:
    """Every parameter and buffer below `modules`, each once."""
    found: dict[tuple[int, str], Held] = {}
    for root in modules:
        for module in root.modules():
            for name, tensor in (*module._parameters.items(), *module._buffers.items()):
                if tensor is not None:
                    found.setdefault((id(module), name), Held(module, name))
    return list(found.values())


@dataclass(frozen=True)
class Place:
    """Where a tensor lies in the buffer."""

    offset: int
    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def nbytes(self) -> int:
        return torch.Size(self.shape).numel() * self.dtype.itemsize

    def view(self, buffer: Tensor) -> Tensor:
        """The tensor in a flat uint8 `buffer`."""
        return buffer[self.offset : self.offset + self.nbytes].view(self.dtype).view(self.shape)


@dataclass(frozen=True)
class Layout:
    """One place for each tensor, in order; `nbytes` in all."""

    places: tuple[Place, ...]
    nbytes: int

    @classmethod
    def of(cls, tensors: Sequence[Tensor]) -> Layout:
        places, end = [], 0
        for tensor in tensors:
            places.append(Place(end, tuple(tensor.shape), tensor.dtype))
            end += -(-tensor.nbytes // ALIGNMENT) * ALIGNMENT
        return cls(tuple(places), end)

    def views(self, buffer: Tensor) -> list[Tensor]:
        return [place.view(buffer) for place in self.places]
