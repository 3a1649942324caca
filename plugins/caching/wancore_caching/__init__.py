"""Step caches for wancore: TeaCache, MagCache, EasyCache."""

from __future__ import annotations

from wancore.parity.kind import Kind
from wancore.plugins import hookimpl
from wancore.sampling.method import MethodSpec
from wancore_caching.methods import METHODS
from wancore_caching.parity import KINDS

WANCORE_API = (1, 1)


@hookimpl
def wancore_methods() -> tuple[MethodSpec, ...]:
    return METHODS


@hookimpl
def wancore_parity() -> tuple[Kind, ...]:
    return KINDS
