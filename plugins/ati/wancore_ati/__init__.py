"""ATI: points of the first picture move along drawn tracks."""

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
    from wancore_ati.family import AtiFamily

    return [AtiFamily()]


@hookimpl
def wancore_parity() -> Iterable[Kind]:
    from wancore_ati.parity import KINDS

    return KINDS
