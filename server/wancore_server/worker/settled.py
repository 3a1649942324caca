"""What the engine has settled, in the API's words."""

from __future__ import annotations

from fractions import Fraction

from wancore_proto.v1 import frames_pb2

from wancore.events import Accepted


def video_format(accepted: Accepted) -> frames_pb2.VideoFormat:
    """Of the frames as they stand in the spool."""
    rate = Fraction(accepted.fps).limit_denominator(100_000)
    return frames_pb2.VideoFormat(
        width=accepted.width,
        height=accepted.height,
        frame_count=accepted.frames or 0,
        frame_rate=frames_pb2.FrameRate(numerator=rate.numerator, denominator=rate.denominator),
        pixel_layout=frames_pb2.PIXEL_LAYOUT_RGB8,
        color_primaries=frames_pb2.COLOR_PRIMARIES_BT709,
        color_range=frames_pb2.COLOR_RANGE_FULL,
    )
