"""The golden-case kinds of the core's own components."""

from __future__ import annotations

from importlib import import_module

from wancore.parity.kind import Kind

COMPONENTS = (
    "wancore.checkpoints.parity",
    "wancore.vae.parity",
    "wancore.encoders.parity",
    "wancore.lora.parity",
    "wancore.sampling.parity",
    "wancore.sampling.parity_windows",
)


def core_kinds() -> list[Kind]:
    """The kinds that every core component declares in its `parity` module."""
    return [kind for name in COMPONENTS for kind in import_module(name).KINDS]
