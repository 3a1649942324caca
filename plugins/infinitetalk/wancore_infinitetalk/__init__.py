"""InfiniteTalk: talking video of any length from an image or a video and the speech of one or two people."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from wancore.plugins import hookimpl

if TYPE_CHECKING:
    from wancore.embedded import EmbeddedModel
    from wancore.parity import Kind
    from wancore.plugins.family import Family

WANCORE_API = (1, 1)


@hookimpl
def wancore_families() -> Iterable[Family]:
    from wancore_infinitetalk.family import InfiniteTalk

    return [InfiniteTalk()]


@hookimpl
def wancore_models() -> Iterable[EmbeddedModel]:
    from wancore.embedded import EmbeddedModel

    return [EmbeddedModel("tiny-talking-face", Path(__file__).parent / "model", family="infinitetalk")]


@hookimpl
def wancore_parity() -> Iterable[Kind]:
    from wancore_infinitetalk.parity import KINDS

    return KINDS
