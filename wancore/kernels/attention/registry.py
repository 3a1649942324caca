"""The attention backends of this installation, and what becomes of each on a device."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from wancore.errors import PluginError
from wancore.kernels.attention.backend import BF16, FP32, Backend
from wancore.kernels.attention.choice import BACKENDS, tested, unusable
from wancore.plugins.manager import PluginManager


def all_backends(plugins: PluginManager) -> tuple[Backend, ...]:
    """The core's backends, then those of the plugins. Raises `PluginError` if two have one name."""
    owners = {backend.name: "the core" for backend in BACKENDS}
    backends = list(BACKENDS)
    for owner, backend in plugins.collect("wancore_attention"):
        if backend.name in owners:
            raise PluginError(
                f"attention backend {backend.name!r} comes from both {owners[backend.name]} and {owner}"
            )
        owners[backend.name] = owner
        backends.append(backend)
    return tuple(backends)


@dataclass(frozen=True)
class BackendState:
    """A backend on a device: `problem` is why it cannot be used, or ''; `error` that of its self-test."""

    backend: Backend
    problem: str
    error: float | None


def states(backends: tuple[Backend, ...], device: torch.device) -> list[BackendState]:
    return [state(backend, device) for backend in backends]


def state(backend: Backend, device: torch.device) -> BackendState:
    if problem := unusable(backend, device):
        return BackendState(backend, problem, None)
    dtype = BF16 if device.type == "cuda" else FP32
    error, problem = tested(backend, device, dtype, 128)
    return BackendState(backend, problem, error)
