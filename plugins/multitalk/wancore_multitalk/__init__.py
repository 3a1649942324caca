"""MultiTalk: conversational video from an image and the voices of one or two people."""

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
    from wancore_multitalk.family import MultiTalk

    return [MultiTalk()]


@hookimpl
def wancore_parity() -> Iterable[Kind]:
    from wancore_multitalk.parity import KINDS

    return KINDS
