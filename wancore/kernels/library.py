"""A compiled library bound to Python: its C functions by name, or a reason why it is not there.

The functions take pointers, sizes and numbers, then the stream, and return a `cudaError_t`.
"""

from __future__ import annotations

import ctypes
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor

from wancore.kernels.build import BuildError, library

log = logging.getLogger(__name__)

VARIABLE = "WANCORE_KERNELS"
F = TypeVar("F", bound=Callable[..., object])


def settled(f: F) -> F:
    """For questions about the machine: what is compiled takes the answer once, and goes on.

    The mark is that of `torch.compiler.assume_constant_result`, which would import the compiler: most runs
    compile nothing, and it takes as long to import as the rest of torch.
    """
    f._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return f


#: Letters of a function's signature: pointer (a tensor or None), 64-bit integer, float.
TYPES = {"p": ctypes.c_void_p, "i": ctypes.c_int64, "f": ctypes.c_float}
DTYPES = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}  # as `enum Dtype` of csrc/common.cuh


@settled
def switched_off() -> bool:
    """Whether the user wants PyTorch's own operations only: `WANCORE_KERNELS=off`."""
    return os.environ.get(VARIABLE, "auto").lower() in ("off", "0", "false", "no")


@dataclass
class KernelLibrary:
    """`sources`: files of `csrc`; `functions`: C name -> letters of its arguments, the stream left out."""

    name: str
    sources: Sequence[str]
    functions: Mapping[str, str]
    problem: str = ""  # why it is not there, once it was asked for
    _loaded: dict[tuple[int, int], dict[str, Any] | None] = field(default_factory=dict)

    def serves(self, device: torch.device) -> bool:
        """Whether the kernels can run on `device`: builds them when first asked.

        Where they cannot, that is said once in the log, and why.
        """
        return device.type == "cuda" and not switched_off() and self._bound(device) is not None

    def call(self, function: str, device: torch.device, *arguments: Tensor | int | float | None) -> None:
        """Launches on the current stream of `device`. Raises `RuntimeError` with CUDA's error number."""
        bound = self._bound(device)
        if bound is None:
            raise RuntimeError(f"kernels {self.name!r} are not available on {device}")
        values = [a.data_ptr() if isinstance(a, Tensor) else a for a in arguments]
        if device.index is not None and device.index != torch.cuda.current_device():
            with torch.cuda.device(device):
                error = bound[function](*values, torch.cuda.current_stream(device).cuda_stream)
        else:
            error = bound[function](*values, torch.cuda.current_stream(device).cuda_stream)
        if error:
            raise RuntimeError(f"kernel {function} failed with CUDA error {error}")

    def _bound(self, device: torch.device) -> dict[str, Any] | None:
        capability = torch.cuda.get_device_capability(device)
        if capability not in self._loaded:
            self._loaded[capability] = self._load(capability)
        return self._loaded[capability]

    def _load(self, capability: tuple[int, int]) -> dict[str, Any] | None:
        try:
            return self.bind(ctypes.CDLL(str(library(self.name, self.sources, capability))))
        except (BuildError, OSError, AttributeError) as error:
            self.problem = reason = str(error).splitlines()[-1]
            log.warning("kernels %r: using PyTorch instead (%s)", self.name, reason)
            log.debug("%s", error)
            return None

    def bind(self, shared: ctypes.CDLL) -> dict[str, Any]:
        bound = {}
        for name, letters in self.functions.items():
            function = getattr(shared, name)
            function.restype = ctypes.c_int
            function.argtypes = [*(TYPES[letter] for letter in letters), ctypes.c_void_p]
            bound[name] = function
        return bound
