"""Pictures and video between files and arrays.

Frames are uint8 [T, H, W, 3], RGB, sRGB, full range. Names are resolved on first use, so importing
the package costs neither PyAV nor torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wancore.media.convert import from_uint8, to_uint8
    from wancore.media.image import read_image
    from wancore.media.metadata import read_metadata
    from wancore.media.mp4 import Mp4Writer
    from wancore.media.output import open_writer
    from wancore.media.png import PngWriter, write_png
    from wancore.media.raw import RawWriter
    from wancore.media.sheet import contact_sheet
    from wancore.media.video import Video, read_video
    from wancore.media.writer import FrameWriter

HOMES = {
    "FrameWriter": "writer",
    "Mp4Writer": "mp4",
    "PngWriter": "png",
    "RawWriter": "raw",
    "Video": "video",
    "contact_sheet": "sheet",
    "from_uint8": "convert",
    "open_writer": "output",
    "read_image": "image",
    "read_metadata": "metadata",
    "read_video": "video",
    "to_uint8": "convert",
    "write_png": "png",
}

__all__ = [
    "FrameWriter",
    "Mp4Writer",
    "PngWriter",
    "RawWriter",
    "Video",
    "contact_sheet",
    "from_uint8",
    "open_writer",
    "read_image",
    "read_metadata",
    "read_video",
    "to_uint8",
    "write_png",
]


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
