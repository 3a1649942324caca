"""Colours and their YUV values by the formulas of ITU-R BT.601 and BT.709, apart from FFmpeg."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

LUMA = {601: (0.299, 0.114), 709: (0.2126, 0.0722)}  # weights of red and of blue
CELL = 16  # pixels of a patch's side


def yuv(rgb: npt.NDArray[np.uint8], matrix: int, full: bool) -> npt.NDArray[np.float64]:
    """RGB [..., 3] -> Y, Cb, Cr [..., 3], not rounded."""
    red, blue = LUMA[matrix]
    r, g, b = np.moveaxis(rgb / 255.0, -1, 0)
    y = red * r + (1 - red - blue) * g + blue * b
    cb, cr = (b - y) / (2 * (1 - blue)), (r - y) / (2 * (1 - red))
    if full:
        return np.stack([255 * y, 128 + 255 * cb, 128 + 255 * cr], axis=-1)
    return np.stack([16 + 219 * y, 128 + 224 * cb, 128 + 224 * cr], axis=-1)


def colors(seed: int = 0) -> npt.NDArray[np.uint8]:
    """[4, 4, 3] random colours, with black, white and the primaries among them."""
    found = np.random.default_rng(seed).integers(0, 256, (16, 3), dtype=np.uint8)
    found[:5] = [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]
    return found.reshape(4, 4, 3)


def patches(of: npt.NDArray[np.uint8], cell: int = CELL) -> npt.NDArray[np.uint8]:
    """Each colour of [h, w, ...] as a square of `cell` pixels."""
    return of.repeat(cell, axis=0).repeat(cell, axis=1)


def centers(picture: npt.NDArray[np.uint8], cell: int = CELL) -> npt.NDArray[np.uint8]:
    """The opposite of `patches`."""
    return picture[cell // 2 :: cell, cell // 2 :: cell]


def encode_planes(path: Path, of: npt.NDArray[np.uint8], matrix: int, full: bool, tag: int | None) -> None:
    """One lossless H.264 frame of patches, with YUV values by the formula, tagged as said."""
    values = yuv(of, matrix, full).round().clip(0, 255).astype(np.uint8)
    luma = patches(values[..., 0])
    halves = [patches(values[..., i], CELL // 2).reshape(-1, luma.shape[1]) for i in (1, 2)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25), options={"qp": "0"})
        stream.height, stream.width = luma.shape
        stream.pix_fmt = "yuv420p"
        if tag is not None:
            stream.codec_context.colorspace = tag
        stream.codec_context.color_range = 2 if full else 1
        frame = av.VideoFrame.from_ndarray(np.concatenate([luma, *halves]), format="yuv420p")
        frame.color_range = 2 if full else 1
        container.mux([*stream.encode(frame), *stream.encode(None)])
