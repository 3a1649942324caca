"""Guidance methods for wancore: CFG-Zero*, TCFG, RAAG, FreSca, TSR, SLG, NAG, FETA, FreeInit and more."""

from __future__ import annotations

from wancore.parity.kind import Kind
from wancore.plugins import hookimpl
from wancore.sampling.method import MethodSpec
from wancore_guidance.methods import METHODS
from wancore_guidance.parity import KINDS

WANCORE_API = (1, 1)


@hookimpl
def wancore_methods() -> tuple[MethodSpec, ...]:
    return METHODS


@hookimpl
def wancore_parity() -> tuple[Kind, ...]:
    return KINDS
