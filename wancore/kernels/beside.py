"""What stands beside a linear and adds a low-rank branch to its result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn

from wancore.kernels.product import Factors


class Beside(ABC):
    """A forward hook of a linear. A product that carries branches asks for factors and does not call it."""

    @property
    @abstractmethod
    def rank(self) -> int:
        """R of the factors."""

    @abstractmethod
    def factors(self, x: Tensor) -> Factors:
        """The branch for the linear's input x [..., in], in its dtype."""

    @abstractmethod
    def __call__(self, module: nn.Module, inputs: tuple[Any, ...], out: Tensor) -> Tensor:
        """The linear's result [..., out] with the branch added."""


def beside(layer: nn.Module) -> Beside | None:
    """The branch beside a linear, where nothing else changes its result."""
    hooks = list(layer._forward_hooks.values())
    return hooks[0] if len(hooks) == 1 and isinstance(hooks[0], Beside) else None
