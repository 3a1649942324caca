"""What a generation yields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Self

import google_crc32c
import numpy as np
from numpy.typing import NDArray
from wancore_proto.v1 import frames_pb2

from wancore_client.errors import FrameDamaged, WancoreClientError

#: Names of encodings, as users write them.
ENCODINGS: Mapping[str, frames_pb2.Encoding] = {
    "raw": frames_pb2.ENCODING_RAW_RGB8,
    "png": frames_pb2.ENCODING_PNG,
    "jpeg": frames_pb2.ENCODING_JPEG,
    "h264-fmp4": frames_pb2.ENCODING_H264_FMP4,
    "h264-annex-b": frames_pb2.ENCODING_H264_ANNEX_B,
}
NAMES = {value: name for name, value in ENCODINGS.items()}


@dataclass(frozen=True)
class Frame:
    """One frame. `pts`: seconds from the start of the video; `data`: its bytes as they came."""

    index: int
    pts: float
    width: int
    height: int
    encoding: str
    data: bytes

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """[H, W, 3] uint8, RGB, full range; read-only. Raw frames are the received bytes themselves."""
        if self.encoding == "raw":
            return np.frombuffer(self.data, np.uint8).reshape(self.height, self.width, 3)
        try:
            from PIL import Image
        except ImportError:
            raise WancoreClientError("decoding pictures needs the extra `wancore-client[video]`") from None
        pixels = np.array(Image.open(BytesIO(self.data)).convert("RGB"))
        pixels.setflags(write=False)
        return pixels


@dataclass(frozen=True)
class Fragment:
    """Frames `first_index` to `first_index + frame_count - 1` as H.264. `init`: what a decoder needs."""

    first_index: int
    frame_count: int
    pts: float
    encoding: str
    init: bytes
    codec: str
    data: bytes

    @classmethod
    def of(cls, part: frames_pb2.Fragment, init: frames_pb2.CodecInit, data: bytes) -> Self:
        """As the last of its parts tells of it, with the joined bytes of all."""
        seconds = part.pts.ToNanoseconds() / 1e9
        encoding = NAMES[part.encoding]
        return cls(part.first_index, part.frame_count, seconds, encoding, init.data, init.codec, data)


class Assembly:
    """Joins the parts of frames and fragments; parts that came before are passed over."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.key: tuple[int, int] | None = None

    def add(self, attempt: int, part: frames_pb2.Frame | frames_pb2.Fragment) -> bytes | None:
        """The whole, once its last part is there. Raises `FrameDamaged`."""
        index = part.index if isinstance(part, frames_pb2.Frame) else part.first_index
        if google_crc32c.value(part.data) != part.crc32c:
            raise FrameDamaged(f"frame {index}, part {part.part}: the checksum does not match")
        if part.part == 0:
            self.parts, self.key = [], (attempt, index)
        if self.key != (attempt, index) or part.part != len(self.parts):
            return None
        self.parts.append(part.data)
        if len(self.parts) < part.part_count:
            return None
        return self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)
