"""The base Wan models: text to video, image to video, first and last frame, two experts, TI2V."""

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
    from wancore_wan.family import WanFamily

    return [WanFamily()]


@hookimpl
def wancore_parity() -> Iterable[Kind]:
    from wancore_wan.parity import KINDS

    return KINDS
