"""PNG files, with Pillow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wancore.errors import InvalidInput, WancoreError
from wancore.media.metadata import KEY, png_text
from wancore.media.pixels import Pixels
from wancore.media.writer import FrameWriter, check_frames, check_size

if TYPE_CHECKING:
    from PIL.PngImagePlugin import PngInfo

COMPRESSION = 4  # of 9; more saves a few per cent and takes twice the time
PERCEPTUAL = b"\0"  # rendering intent of the sRGB chunk


class PngWriter(FrameWriter):
    """One file a frame, `000000.png` on, each with the metadata, so that a frame taken away keeps them.

    The folder is made if it is missing. Numbered files that are there already are removed first with
    `overwrite`, else refused: a shorter video would be mixed with the rest of a longer one. Raises
    `InvalidInput` for what cannot be, `WancoreError` where writing fails.
    """

    def __init__(
        self,
        folder: Path | str,
        size: tuple[int, int],
        metadata: Mapping[str, Any] | None = None,
        *,
        overwrite: bool = False,
    ) -> None:
        check_size(size)
        self.folder, self.size, self.frames = Path(folder), size, 0
        self.text = None if metadata is None else png_text(metadata)
        if self.folder.exists() and not self.folder.is_dir():
            raise InvalidInput("out", str(folder), "a folder for PNG files; this is a file")
        earlier = list(self.folder.glob("[0-9]" * 6 + ".png"))
        if earlier and not overwrite:
            raise InvalidInput("out", str(folder), "a folder without numbered PNG files; this has some")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for file in earlier:
                file.unlink()
        except OSError as error:
            raise WancoreError(f"{folder}: cannot be written: {error.strerror}") from error

    def write(self, frames: Pixels) -> None:
        check_frames(frames, self.size)
        for picture in frames:
            save(self.folder / f"{self.frames:06d}.png", picture, self.text)
            self.frames += 1

    def close(self) -> None:
        """Nothing to do: every frame is a whole file."""


def write_png(path: Path | str, picture: Pixels, metadata: Mapping[str, Any] | None = None) -> None:
    """Writes uint8 [H, W, 3] as an RGB PNG tagged sRGB; missing folders are made.

    Raises `InvalidInput` for another kind of array, `WancoreError` where writing fails.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        raise InvalidInput("picture", f"{picture.dtype}{list(picture.shape)}", "uint8 [H, W, 3]")
    save(Path(path), picture, None if metadata is None else png_text(metadata))


def save(path: Path, picture: Pixels, text: str | None) -> None:
    """Whole or not at all: written under another name first."""
    from PIL import Image

    partial = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(partial, format="PNG", compress_level=COMPRESSION, pnginfo=chunks(text))
        partial.replace(path)
    except OSError as error:
        raise WancoreError(f"{path}: cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def chunks(text: str | None) -> PngInfo:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add(b"sRGB", PERCEPTUAL)
    if text is not None:
        info.add_text(KEY, text)
    return info
