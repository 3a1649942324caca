"""Stand-In: the person in a picture, in a text-to-video model's videos."""

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
    from wancore_standin.family import StandInFamily

    return [StandInFamily()]


@hookimpl
def wancore_parity() -> Iterable[Kind]:
    from wancore_standin.parity import KINDS

    return KINDS
