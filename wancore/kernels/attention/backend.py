"""What an attention backend is, and what it declares about itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

#: `attend(q [S, H, d], k [M, H, d], v [M, H, d]) -> [S, H, d]`.
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
#: `run(q [G, S, H, d], k [G, M, H, d], v [G, M, H, d], lengths [G] or None) -> [G, S, H, d]`.
Run = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]

#: Where attention happens: among the rows; to text; to image and audio tokens and other sets of an
#: adapter; within groups of rows with keys of their own; within a frame of the VAE.
Role = Literal["self", "text", "image", "grouped", "vae"]
ROLES: tuple[Role, ...] = get_args(Role)

BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


@dataclass(frozen=True)
class Call:
    """What is asked of a backend. `capability`: of a CUDA GPU; `varlen`: groups with lengths."""

    device: str
    capability: tuple[int, int]
    dtype: torch.dtype
    head_dim: int
    varlen: bool = False

    @classmethod
    def of(cls, q: Tensor, varlen: bool = False) -> Call:
        return cls(q.device.type, capability_of(q.device), q.dtype, q.shape[-1], varlen)


@dataclass(frozen=True)
class Backend:
    """One way to compute attention, and what it can do.

    `load()`: imports it and returns its `run`; raises `ImportError`, `OSError` or `RuntimeError` where it
    cannot be used, and is called once. `devices`: types, () for any. `lowest`, `below`: compute
    capabilities of CUDA GPUs. `head_dims`: (multiple of, at most). `varlen`: takes `lengths`, so that
    only the first keys of each group count. `rank`: place among the automatic choices, the lowest first;
    None: only when asked for. `ranked_from`: the capability from which it is chosen automatically.
    `exact`: differs from others by rounding alone. `tolerance`: largest relative error (Frobenius norm,
    on normal data) of its self-test.
    """

    name: str
    help: str
    load: Callable[[], Run]
    devices: tuple[str, ...] = ("cuda",)
    lowest: tuple[int, int] = (0, 0)
    below: tuple[int, int] = (99, 0)
    dtypes: tuple[torch.dtype, ...] = (BF16, FP16)
    head_dims: tuple[int, int] = (8, 256)
    varlen: bool = False
    rank: int | None = None
    ranked_from: tuple[int, int] = (0, 0)
    exact: bool = True
    tolerance: float = 1e-2

    def refusal_of_device(self, device: str, capability: tuple[int, int]) -> str:
        """Why it cannot run on such a device, or ''."""
        if self.devices and device not in self.devices:
            return f"runs on {' and '.join(self.devices)}, not on {device}"
        if device == "cuda" and not self.lowest <= capability < self.below:
            here = ".".join(map(str, capability))
            return f"needs compute capability {shown_range(self.lowest, self.below)}, this GPU has {here}"
        return ""

    def refusal(self, call: Call) -> str:
        """Why it cannot serve such a call, or ''."""
        if problem := self.refusal_of_device(call.device, call.capability):
            return problem
        if self.dtypes and call.dtype not in self.dtypes:
            return f"takes {' and '.join(map(shown_dtype, self.dtypes))}, this is {shown_dtype(call.dtype)}"
        multiple, most = self.head_dims
        if call.head_dim % multiple or call.head_dim > most:
            return f"takes heads of up to {most}, in multiples of {multiple}; these are {call.head_dim} wide"
        if call.varlen and not self.varlen:
            return "takes no groups of different lengths"
        return ""


def capability_of(device: torch.device) -> tuple[int, int]:
    return torch.cuda.get_device_capability(device) if device.type == "cuda" else (0, 0)


def shown_dtype(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def shown_range(lowest: tuple[int, int], below: tuple[int, int]) -> str:
    first = ".".join(map(str, lowest))
    if below == (lowest[0] + 1, 0):
        return f"{lowest[0]}.x"
    return f"{first} or newer" if below >= (99, 0) else f"{first} to below {'.'.join(map(str, below))}"


def listed(texts: Iterable[str]) -> str:
    return ", ".join(texts) or "none"
