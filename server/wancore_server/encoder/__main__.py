"""`python -m wancore_server.encoder PARENT SOCKET QUALITY CRF`; only the gateway calls it."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import numpy as np
from wancore_proto.v1 import frames_pb2

from wancore_server.child import die_with_parent, inherited_socket
from wancore_server.encoder.h264 import H264Block
from wancore_server.encoder.pictures import jpeg, png
from wancore_server.encoder.sound import SoundTrack
from wancore_server.wire import wire_pb2
from wancore_server.wire.framing import framed, receive


@dataclass(frozen=True)
class Coded:
    """Bytes of a piece and the frames in it."""

    data: bytes
    first_frame: int
    frame_count: int
    codec: str = ""


def coded(task: wire_pb2.EncodeBlock, quality: int, crf: int) -> Iterator[Coded]:
    frames = read(task)
    if task.encoding == frames_pb2.ENCODING_PNG:
        for i, frame in enumerate(frames):
            yield Coded(png(frame), task.first_frame + i, 1)
    elif task.encoding == frames_pb2.ENCODING_JPEG:
        for i, frame in enumerate(frames):
            yield Coded(jpeg(frame, quality), task.first_frame + i, 1)
    else:
        fragmented = task.encoding == frames_pb2.ENCODING_H264_FMP4
        rate = (task.frame_rate.numerator, task.frame_rate.denominator)
        sound = SoundTrack.of(Path(task.sound_path)) if task.sound_path and fragmented else None
        block = H264Block(frames, rate, task.first_frame, task.fragment, crf, sound, task.comment)
        init, fragment = block.fmp4() if fragmented else block.annex_b()
        if task.fragment == 0 or task.init:
            yield Coded(init, 0, 0, block.codec)
        yield Coded(fragment, task.first_frame, task.frame_count)


def read(task: wire_pb2.EncodeBlock) -> np.ndarray:
    """Frames [n, H, W, 3] uint8 from the spool."""
    shape = (task.frame_count, task.height, task.width, 3)
    with Path(task.spool_path).open("rb") as file:
        file.seek(task.offset_bytes)
        data = file.read(int(np.prod(shape)))
    return np.frombuffer(data, np.uint8).reshape(shape)


def encode(task: wire_pb2.EncodeBlock, quality: int, crf: int) -> wire_pb2.BlockEncoded:
    started = time.perf_counter()
    done = wire_pb2.BlockEncoded(task=task.task)
    try:
        descriptor = os.open(task.track_path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.ftruncate(descriptor, task.track_bytes)
            offset = task.track_bytes
            for piece in coded(task, quality, crf):
                os.pwrite(descriptor, piece.data, offset)
                done.pieces.add(
                    first_frame=piece.first_frame, frame_count=piece.frame_count, offset_bytes=offset,
                    size_bytes=len(piece.data), crc32c=google_crc32c.value(piece.data), codec=piece.codec,
                )  # fmt: skip
                offset += len(piece.data)
        finally:
            os.close(descriptor)
    except Exception as error:
        logging.exception("encoding failed")
        return wire_pb2.BlockEncoded(task=task.task, problem=type(error).__name__)
    done.seconds = time.perf_counter() - started
    return done


def main() -> None:
    parent, descriptor, quality, crf = (int(argument) for argument in sys.argv[1:5])
    die_with_parent(parent)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    connection = inherited_socket(descriptor)
    while (task := receive(connection, wire_pb2.EncodeBlock)) is not None:
        connection.sendall(framed(encode(task, quality, crf)))


if __name__ == "__main__":
    main()
