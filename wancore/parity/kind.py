"""What a component or a plugin registers so that its golden cases can be run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from wancore.parity.case import Case

Array = Any  # torch.Tensor or numpy.ndarray; torch is not imported here, to keep registration light


@dataclass(frozen=True)
class Result:
    """What a handler computed.

    `outputs` has one entry per `out.*` array of the case, without the `out.` prefix.
    `facts` has one entry per non-array expectation of the case's metadata (`pairs`,
    `sha256`, `touched`, `detect`, `map`), compared for equality.
    """

    outputs: Mapping[str, Array] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


Handler = Callable[["Case"], Result | Mapping[str, Array]]


@dataclass(frozen=True)
class Kind:
    """One kind of golden case of one family (or `_component`), and the code that reproduces it.

    `handler` is either the function or its import path `"package.module:function"`, so that
    declaring kinds imports neither torch nor the family's code.
    `tolerance` bounds max|out - ref| / max(max|ref|, 1e-6) per array (float32, CPU).
    `pixel_fraction` is the share of differing uint8 pixels allowed in pictures drawn by OpenCV.
    `placed`: the handler computes where the case says, so that it can be run on a GPU and in other types.
    """

    family: str
    kind: str
    handler: Handler | str
    tolerance: float = 1e-4
    pixel_fraction: float = 0.0
    placed: bool = False

    def resolve(self) -> Handler:
        if not isinstance(self.handler, str):
            return self.handler
        import importlib

        module, _, name = self.handler.partition(":")
        return getattr(importlib.import_module(module), name)


def as_numpy(array: Array) -> np.ndarray:
    """A torch tensor (any device, bfloat16 and fp8 widened) or an array, as numpy."""
    import numpy as np

    if isinstance(array, np.ndarray):
        return array
    tensor = array.detach().cpu()
    if tensor.is_floating_point() and tensor.dtype.itemsize <= 2:
        tensor = tensor.float()
    return tensor.numpy()
