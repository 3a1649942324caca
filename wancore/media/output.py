"""Where a user wants the frames."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from wancore.errors import InvalidInput
from wancore.media.mp4 import Mp4Writer
from wancore.media.png import PngWriter
from wancore.media.raw import RawWriter
from wancore.media.sound import Sound
from wancore.media.writer import FrameWriter

OutputKind = Literal["raw", "png", "mp4"]


def open_writer(
    out: str,
    fps: Fraction | int,
    size: tuple[int, int],
    metadata: Mapping[str, Any] | None = None,
    *,
    overwrite: bool = False,
    sound: Sound | None = None,
) -> FrameWriter:
    """`name.mp4`: H.264. A folder, or a name without suffix: PNG files. `-`: raw RGB on standard output.

    `size` is (width, height); raw RGB holds neither `fps` nor `metadata`, PNG files no `fps`.
    `sound` goes into MP4 files and nowhere else. `overwrite`: frames of an earlier run in the folder are
    removed; a file is always replaced. Raises `InvalidInput` for anything else.
    """
    match output_kind(out):
        case "raw":
            return RawWriter(sys.stdout.buffer, size)
        case "png":
            return PngWriter(Path(out), size, metadata, overwrite=overwrite)
        case "mp4":
            return Mp4Writer(Path(out), fps, size, metadata, sound=sound)


def output_kind(out: str) -> OutputKind:
    """What `open_writer` would write. Raises `InvalidInput` for a name that says none of these."""
    path = Path(out)
    if out == "-":
        return "raw"
    if out and (path.is_dir() or out.endswith("/") or not path.suffix):
        return "png"
    if path.suffix.lower() == ".mp4":
        return "mp4"
    raise InvalidInput("out", out, "a name that ends in .mp4, a folder for PNG files, or - for raw RGB")
