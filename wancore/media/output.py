"""Where a user wants the frames."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from wancore.errors import InvalidInput
from wancore.media.mp4 import Mp4Writer
from wancore.media.png import PngWriter
from wancore.media.raw import RawWriter
from wancore.media.writer import FrameWriter


def open_writer(
    out: str,
    fps: Fraction | int,
    size: tuple[int, int],
    metadata: Mapping[str, Any] | None = None,
    *,
    overwrite: bool = False,
) -> FrameWriter:
    """`name.mp4`: H.264. A folder, or a name without suffix: PNG files. `-`: raw RGB on standard output.

    `size` is (width, height); raw RGB holds neither `fps` nor `metadata`, PNG files no `fps`.
    `overwrite`: frames of an earlier run in the folder are removed; a file is always replaced.
    Raises `InvalidInput` for anything else.
    """
    path = Path(out)
    if out == "-":
        return RawWriter(sys.stdout.buffer, size)
    if out and (path.is_dir() or out.endswith("/") or not path.suffix):
        return PngWriter(path, size, metadata, overwrite=overwrite)
    if path.suffix.lower() == ".mp4":
        return Mp4Writer(path, fps, size, metadata)
    raise InvalidInput("out", out, "a name that ends in .mp4, a folder for PNG files, or - for raw RGB")
