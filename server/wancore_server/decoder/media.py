"""What a file holds, and the same content written again by ourselves.

Workers read only what was written here: a worker holds weights and a GPU, and must not run a demuxer
over a stranger's bytes. Pictures become PNG, video becomes FFV1 in Matroska, sound (alone, or a video's)
the mean of its channels in floats: all lossless.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from wancore_proto.v1 import asset_service_pb2

from wancore.media.audio import MAX_SECONDS as MAX_SOUND_SECONDS
from wancore.media.audio import Unsuitable as TooLong
from wancore.media.image import IMAGE_FORMATS, read_image
from wancore.media.video import OPTIONS, Unsuitable, check_frame, rgb, upright
from wancore_server.decoder.data import BadData, check_data
from wancore_server.decoder.sound import NoSound, SoundCopy, copy_sound, is_sound
from wancore_server.wire import wire_pb2

Kind = asset_service_pb2.Asset.Kind
MAX_SECONDS = 600
SNIFFED = 64


class NotAccepted(Exception):
    """A file that is not taken; the text says why, without a path."""


@dataclass(frozen=True)
class Limits:
    """Pixels of a picture, frames of a video."""

    pixels: int
    frames: int


def decode(path: Path, clean: Path, limits: Limits) -> wire_pb2.Decoded:
    """Raises `NotAccepted`, or whatever a decoder raises on a hostile file."""
    with path.open("rb") as file:
        start = file.read(SNIFFED)
    if is_picture(start) and not is_gif(start):
        return decode_picture(path, clean, limits)
    if is_video(start) and has_pictures(path):
        return decode_video(path, clean, limits)
    if is_video(start) or is_sound(start):
        return decode_sound(path, clean)
    try:
        check_data(path, start)
    except BadData as error:
        raise NotAccepted(f"this file {error}") from error
    return wire_pb2.Decoded(kind=Kind.KIND_DATA)


def is_picture(start: bytes) -> bool:
    known = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*", b"GIF8")
    return start.startswith(known) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")


def is_gif(start: bytes) -> bool:
    return start.startswith(b"GIF8")


def is_video(start: bytes) -> bool:
    if start[4:8] == b"ftyp" or start.startswith((b"\x1aE\xdf\xa3", b"GIF8")):
        return True
    return (start[:4] == b"RIFF" and start[8:12] == b"AVI ") or (
        start[:1] == b"\x47" and len(start) >= SNIFFED
    )


def has_pictures(path: Path) -> bool:
    """Whether a container has pictures that move (the cover of a song does not), or is damaged."""
    try:
        with av.open(str(path.absolute()), options=OPTIONS) as source:
            return any(not s.disposition & av.stream.Disposition.attached_pic for s in source.streams.video)
    except (av.FFmpegError, UnicodeError, OSError):
        return True


def decode_sound(path: Path, clean: Path) -> wire_pb2.Decoded:
    try:
        copy_sound(path, clean)
    except NoSound as error:
        raise NotAccepted(str(error)) from error
    except TooLong as error:
        raise NotAccepted(f"at most {MAX_SOUND_SECONDS // 60} minutes of sound") from error
    except (av.FFmpegError, UnicodeError, OSError) as error:
        raise NotAccepted("this sound is damaged") from error
    return wire_pb2.Decoded(kind=Kind.KIND_AUDIO)


def decode_picture(path: Path, clean: Path, limits: Limits) -> wire_pb2.Decoded:
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # our own limit is checked on the header, before anything is decoded
    try:
        with Image.open(path, formats=IMAGE_FORMATS) as image:
            width, height = image.size
    except Exception as error:  # decoders raise whatever goes wrong
        raise NotAccepted("this picture is damaged") from error
    if width * height > limits.pixels:
        raise NotAccepted(f"at most {limits.pixels} pixels; this picture has {width} x {height}")
    try:
        pixels = read_image(path)
    except Exception as error:
        raise NotAccepted("this picture is damaged, or an animation") from error
    Image.fromarray(pixels).save(clean, format="PNG", compress_level=1)
    return wire_pb2.Decoded(
        kind=Kind.KIND_IMAGE, width=pixels.shape[1], height=pixels.shape[0], frame_count=1
    )


def decode_video(path: Path, clean: Path, limits: Limits) -> wire_pb2.Decoded:
    try:
        with av.open(str(path.absolute()), options=OPTIONS) as source:
            stream = source.streams.best("video")
            if not isinstance(stream, av.VideoStream):
                raise NotAccepted("this file has no video stream")
            return rewrite(source, stream, path, clean, limits)
    except (Unsuitable, TooLong, NoSound) as error:
        raise NotAccepted(str(error)) from error
    except (av.FFmpegError, UnicodeError, OSError) as error:
        raise NotAccepted("this video is damaged") from error


def rewrite(
    source: av.container.InputContainer, stream: av.VideoStream, path: Path, clean: Path, limits: Limits
) -> wire_pb2.Decoded:
    """Decodes frame by frame, so that memory stays small whatever the length; the sound beside it."""
    from av.video.reformatter import VideoReformatter

    rate = Fraction(stream.average_rate or stream.guessed_rate or 0)
    if not 0 < rate <= 1000:
        raise NotAccepted("this file tells no frame rate")
    stream.thread_type = "SLICE"
    reformatter, count, size = VideoReformatter(), 0, (0, 0)
    with av.open(str(clean.absolute()), "w", format="matroska") as target:
        out = target.add_stream("ffv1", rate=rate.limit_denominator(100_000))
        out.pix_fmt = "bgr0"
        sound = SoundCopy(path, target)
        for frame in source.decode(stream):
            if count >= limits.frames or count > MAX_SECONDS * rate:
                raise NotAccepted(f"at most {limits.frames} frames and {MAX_SECONDS // 60} minutes")
            if frame.width * frame.height > limits.pixels:
                raise NotAccepted(f"at most {limits.pixels} pixels in a frame")
            check_frame(frame, 0, 0)
            picture = upright(rgb(frame, reformatter), frame.rotation)
            if count and picture.shape[1::-1] != size:
                raise NotAccepted(f"this one changes its size at frame {count}")
            size = (picture.shape[1], picture.shape[0])
            if not count:
                out.width, out.height = size
            fresh = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            fresh.pts, fresh.time_base = count, 1 / rate.limit_denominator(100_000)
            target.mux(out.encode(fresh))
            count += 1
            sound.until(count / rate)
        if count:
            target.mux(out.encode(None))
            sound.rest()
    if not count:
        raise NotAccepted("this video has no frames")
    return wire_pb2.Decoded(kind=Kind.KIND_VIDEO, width=size[0], height=size[1], frame_count=count)
