"""What a GPU is, as far as it matters here; and a name for its generation."""

from __future__ import annotations

from dataclasses import dataclass

import torch

#: Compute capability, from the first of each generation on.
ARCHITECTURES = (
    ((12, 0), "Blackwell"),
    ((10, 0), "Blackwell, data centre"),
    ((9, 0), "Hopper"),
    ((8, 9), "Ada"),
    ((8, 6), "Ampere"),
    ((8, 0), "Ampere, data centre"),
    ((7, 5), "Turing"),
    ((7, 0), "Volta"),
)


@dataclass(frozen=True)
class Gpu:
    """`capability`: compute capability; `memory`: bytes."""

    name: str
    capability: tuple[int, int]
    memory: int
    index: int = 0

    @classmethod
    def at(cls, index: int) -> Gpu:
        properties = torch.cuda.get_device_properties(index)
        return cls(properties.name, (properties.major, properties.minor), properties.total_memory, index)

    @property
    def architecture(self) -> str:
        return next((name for first, name in ARCHITECTURES if self.capability >= first), "older")

    def describe(self) -> str:
        version = ".".join(map(str, self.capability))
        return (
            f"{self.name}, {self.architecture} (compute capability {version}), {self.memory / 2**30:.1f} GiB"
        )


def gpus() -> list[Gpu]:
    """Those that this process sees."""
    return [Gpu.at(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
