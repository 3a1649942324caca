"""Phantom: a video of the subjects in one to four pictures."""

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
    from wancore_phantom.family import PhantomFamily

    return [PhantomFamily()]


@hookimpl
def wancore_parity() -> Iterable[Kind]:
    from wancore_phantom.parity import KINDS

    return KINDS
