"""VACE: one adapter for references, control videos, inpainting, outpainting, extension and layouts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from wancore.plugins import hookimpl

if TYPE_CHECKING:
    from wancore.parity import Kind
    from wancore.plugins.family import Family

WANCORE_API = (1, 1)


@hookimpl
def wancore_families() -> Iterable[Family]:
    from wancore_vace.family import VaceFamily

    return [VaceFamily()]


@hookimpl
def wancore_parity() -> Iterable[Kind]:
    from wancore_vace.parity import KINDS

    return KINDS
