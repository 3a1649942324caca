"""MAGREF: a video of the people, things and places in up to eight pictures."""

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
    from wancore_magref.family import MagrefFamily

    return [MagrefFamily()]


@hookimpl
def wancore_parity() -> Iterable[Kind]:
    from wancore_magref.parity import KINDS

    return KINDS
