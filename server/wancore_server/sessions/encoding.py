"""Blocks of a session in other encodings: each made once, by the encoder processes."""

from __future__ import annotations

from google.rpc import code_pb2
from wancore_proto.v1 import frames_pb2

from wancore_server.encoder.pool import EncoderPool, EncodingFailed
from wancore_server.errors import ApiError
from wancore_server.frames.spool import read_range
from wancore_server.frames.tracks import SUFFIXES
from wancore_server.sessions.session import Encoded, HeldBlock, LiveSession
from wancore_server.wire import wire_pb2


class Encodings:
    def __init__(self, pool: EncoderPool) -> None:
        self.pool = pool

    async def of(self, session: LiveSession, block: HeldBlock, encoding: frames_pb2.Encoding) -> Encoded:
        """Raises `ApiError`: `ENCODING_FAILED`."""
        async with block.lock:
            if encoding not in block.tracks:
                block.tracks[encoding] = await self.made(session, block, encoding)
        return block.tracks[encoding]

    async def made(self, session: LiveSession, block: HeldBlock, encoding: frames_pb2.Encoding) -> Encoded:
        video = session.info.format
        path = block.path.with_suffix(f".{SUFFIXES[encoding]}")
        task = wire_pb2.EncodeBlock(
            encoding=encoding, spool_path=str(block.path), first_frame=block.first_frame,
            frame_count=block.frame_count, width=video.width, height=video.height,
            frame_rate=video.frame_rate, track_path=str(path), fragment=block.number, init=True,
        )  # fmt: skip
        try:
            done = await self.pool.encode(task)
        except EncodingFailed as error:
            raise ApiError(code_pb2.INTERNAL, "ENCODING_FAILED", str(error)) from error
        pieces = [p for p in done.pieces if p.frame_count]
        inits = [p for p in done.pieces if not p.frame_count]
        init = read_range(path, inits[0].offset_bytes, inits[0].size_bytes) if inits else b""
        return Encoded(
            path,
            tuple((p.first_frame, p.frame_count, p.offset_bytes, p.size_bytes) for p in pieces),
            init,
            inits[0].codec if inits else "",
        )
