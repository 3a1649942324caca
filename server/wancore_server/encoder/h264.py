"""One decoded block as H.264, starting at a key frame and independent of all others.

Without B-frames the decoding order is the order shown, so blocks that are encoded one by one make one
stream: times go on, and only the first block's parameter sets are sent, since the encoder's settings
never change within a stream.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from io import BytesIO
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from wancore_server.encoder.sound import CODEC, Coded, SoundTrack

BT709, LIMITED = 1, 1  # ITU-T H.273 code points; AVCOL_RANGE_MPEG
START_CODE = b"\x00\x00\x00\x01"
SPS, PPS, SEI = 7, 8, 6


class H264Block:
    """`frames` [n, H, W, 3] uint8, H and W even; `rate` frames per second as a ratio.

    In MP4, `sound` goes with the frames, and `comment` into the metadata.
    """

    def __init__(
        self, frames: np.ndarray, rate: tuple[int, int], first_frame: int, fragment: int, crf: int,
        sound: SoundTrack | None = None, comment: str = "",
    ) -> None:  # fmt: skip
        self.frames, self.rate, self.crf = frames, Fraction(*rate), crf
        self.first_frame, self.fragment = first_frame, fragment
        self.sound, self.comment = sound, comment
        self.codec = ""

    @property
    def heard(self) -> list[Coded]:
        """The packets of sound that belong to these frames."""
        if self.sound is None:
            return []
        start = self.first_frame / self.rate
        return self.sound.between(start, start + len(self.frames) / self.rate)

    def stream(self, container: av.container.OutputContainer) -> av.VideoStream:
        options = {"crf": str(self.crf), "preset": "veryfast", "bf": "0", "threads": "1"}
        stream = container.add_stream("libx264", rate=self.rate, options=options)
        stream.width, stream.height = self.frames.shape[2], self.frames.shape[1]
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = 1 / self.rate
        context.gop_size = 10_000  # one key frame, the first
        context.color_primaries = context.color_trc = context.colorspace = BT709
        context.color_range = LIMITED
        return stream

    def mux(self, container: av.container.OutputContainer, sound: SoundTrack | None = None) -> None:
        stream, reformatter = self.stream(container), VideoReformatter()
        track = sound.add_to(container) if sound is not None else None
        for i, picture in enumerate(self.frames):
            frame = reformatter.reformat(
                av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24"),
                format="yuv420p",
                src_colorspace=Colorspace.ITU709,
                dst_colorspace=Colorspace.ITU709,
                src_color_range=ColorRange.JPEG,
                dst_color_range=ColorRange.MPEG,
                interpolation=Interpolation.AREA,
            )
            frame.pts, frame.time_base = self.first_frame + i, 1 / self.rate
            self.add(container, stream, stream.encode(frame))
        self.add(container, stream, stream.encode(None))
        if sound is not None and track is not None:
            sound.mux(container, track, self.heard)

    def add(
        self, container: av.container.OutputContainer, stream: av.VideoStream, packets: list[av.Packet[Any]]
    ) -> None:
        for packet in packets:
            if packet.duration is None or packet.duration == 0:
                packet.duration = 1  # in units of the stream's time base: one frame
            container.mux(packet)

    def fmp4(self) -> tuple[bytes, bytes]:
        """The `ftyp` and `moov` boxes, and this block's `moof` and `mdat`."""
        flags = "empty_moov+default_base_moof+frag_custom+frag_discont+omit_tfhd_offset"
        buffer = BytesIO()
        options = {"movflags": flags, "use_editlist": "0", "fragment_index": str(self.fragment + 1)}
        with av.open(buffer, "w", format="mp4", options=options) as container:
            if self.comment:
                container.metadata["comment"] = self.comment
            self.mux(container, self.sound)
        init, fragment = b"", b""
        for kind, box in boxes(buffer.getvalue()):
            if kind in (b"ftyp", b"moov"):
                init += box
            elif kind in (b"moof", b"mdat"):
                fragment += box
        at = init.index(b"avcC") + 5  # profile, constraints, level
        self.codec = "avc1." + init[at : at + 3].hex() + (f",{CODEC}" if self.sound is not None else "")
        return init, self.moved(init, fragment)

    def moved(self, init: bytes, fragment: bytes) -> bytes:
        """The fragment at its place in the stream: the muxer has each track start at 0."""
        starts = [self.first_frame / self.rate]
        if self.sound is not None and self.heard:
            starts.append(Fraction(self.heard[0].start, self.sound.rate))
        result, scales = bytearray(fragment), time_scales(init)
        at = 0
        for start, scale in zip(starts, scales, strict=False):  # the sound may pause
            at = fragment.index(b"tfdt", at) + 4
            kind = ">Q" if fragment[at] == 1 else ">I"
            struct.pack_into(kind, result, at + 4, round(start * scale))
        return bytes(result)

    def annex_b(self) -> tuple[bytes, bytes]:
        """The parameter sets, and this block with its own at the start, so that any block can be first."""
        buffer = BytesIO()
        with av.open(buffer, "w", format="h264") as container:
            self.mux(container)
        data = buffer.getvalue()
        sets = [unit for unit in units(data) if unit[0] & 0x1F in (SPS, PPS)]
        self.codec = "avc1." + sets[0][1:4].hex()
        return b"".join(START_CODE + unit for unit in sets), data


def time_scales(init: bytes) -> list[int]:
    """Units per second of each track."""
    found, at = list[int](), 0
    while (at := init.find(b"mdhd", at) + 4) > 3:
        found.append(struct.unpack_from(">I", init, at + (20 if init[at] == 1 else 12))[0])
    return found


def boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    """Top-level MP4 boxes: kind and bytes."""
    found, at = [], 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if size == 1:
            size = struct.unpack_from(">Q", data, at + 8)[0]
        found.append((kind, data[at : at + size]))
        at += size or len(data)
    return found


def units(data: bytes) -> list[bytes]:
    """NAL units of an Annex B stream, without start codes."""
    return [unit.rstrip(b"\0") for unit in data.split(b"\x00\x00\x01")[1:] if unit]
