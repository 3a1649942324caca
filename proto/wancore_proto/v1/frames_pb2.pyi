import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Encoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENCODING_UNSPECIFIED: _ClassVar[Encoding]
    ENCODING_RAW_RGB8: _ClassVar[Encoding]
    ENCODING_PNG: _ClassVar[Encoding]
    ENCODING_JPEG: _ClassVar[Encoding]
    ENCODING_H264_FMP4: _ClassVar[Encoding]
    ENCODING_H264_ANNEX_B: _ClassVar[Encoding]

class PixelLayout(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PIXEL_LAYOUT_UNSPECIFIED: _ClassVar[PixelLayout]
    PIXEL_LAYOUT_RGB8: _ClassVar[PixelLayout]

class ColorPrimaries(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COLOR_PRIMARIES_UNSPECIFIED: _ClassVar[ColorPrimaries]
    COLOR_PRIMARIES_BT709: _ClassVar[ColorPrimaries]

class ColorRange(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COLOR_RANGE_UNSPECIFIED: _ClassVar[ColorRange]
    COLOR_RANGE_FULL: _ClassVar[ColorRange]
    COLOR_RANGE_LIMITED: _ClassVar[ColorRange]
ENCODING_UNSPECIFIED: Encoding
ENCODING_RAW_RGB8: Encoding
ENCODING_PNG: Encoding
ENCODING_JPEG: Encoding
ENCODING_H264_FMP4: Encoding
ENCODING_H264_ANNEX_B: Encoding
PIXEL_LAYOUT_UNSPECIFIED: PixelLayout
PIXEL_LAYOUT_RGB8: PixelLayout
COLOR_PRIMARIES_UNSPECIFIED: ColorPrimaries
COLOR_PRIMARIES_BT709: ColorPrimaries
COLOR_RANGE_UNSPECIFIED: ColorRange
COLOR_RANGE_FULL: ColorRange
COLOR_RANGE_LIMITED: ColorRange

class FrameRate(_message.Message):
    __slots__ = ("numerator", "denominator")
    NUMERATOR_FIELD_NUMBER: _ClassVar[int]
    DENOMINATOR_FIELD_NUMBER: _ClassVar[int]
    numerator: int
    denominator: int
    def __init__(self, numerator: _Optional[int] = ..., denominator: _Optional[int] = ...) -> None: ...

class VideoShape(_message.Message):
    __slots__ = ("width", "height", "frame_count", "frame_rate")
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    FRAME_RATE_FIELD_NUMBER: _ClassVar[int]
    width: int
    height: int
    frame_count: int
    frame_rate: FrameRate
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ..., frame_count: _Optional[int] = ..., frame_rate: _Optional[_Union[FrameRate, _Mapping]] = ...) -> None: ...

class VideoFormat(_message.Message):
    __slots__ = ("width", "height", "frame_count", "frame_rate", "pixel_layout", "color_primaries", "color_range")
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    FRAME_RATE_FIELD_NUMBER: _ClassVar[int]
    PIXEL_LAYOUT_FIELD_NUMBER: _ClassVar[int]
    COLOR_PRIMARIES_FIELD_NUMBER: _ClassVar[int]
    COLOR_RANGE_FIELD_NUMBER: _ClassVar[int]
    width: int
    height: int
    frame_count: int
    frame_rate: FrameRate
    pixel_layout: PixelLayout
    color_primaries: ColorPrimaries
    color_range: ColorRange
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ..., frame_count: _Optional[int] = ..., frame_rate: _Optional[_Union[FrameRate, _Mapping]] = ..., pixel_layout: _Optional[_Union[PixelLayout, str]] = ..., color_primaries: _Optional[_Union[ColorPrimaries, str]] = ..., color_range: _Optional[_Union[ColorRange, str]] = ...) -> None: ...

class StreamHeader(_message.Message):
    __slots__ = ("job", "attempt", "encoding", "format", "seed", "codec")
    JOB_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    CODEC_FIELD_NUMBER: _ClassVar[int]
    job: str
    attempt: int
    encoding: Encoding
    format: VideoFormat
    seed: int
    codec: str
    def __init__(self, job: _Optional[str] = ..., attempt: _Optional[int] = ..., encoding: _Optional[_Union[Encoding, str]] = ..., format: _Optional[_Union[VideoFormat, _Mapping]] = ..., seed: _Optional[int] = ..., codec: _Optional[str] = ...) -> None: ...

class Frame(_message.Message):
    __slots__ = ("index", "part", "part_count", "pts", "block", "encoding", "data", "crc32c")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    PART_COUNT_FIELD_NUMBER: _ClassVar[int]
    PTS_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    CRC32C_FIELD_NUMBER: _ClassVar[int]
    index: int
    part: int
    part_count: int
    pts: _duration_pb2.Duration
    block: int
    encoding: Encoding
    data: bytes
    crc32c: int
    def __init__(self, index: _Optional[int] = ..., part: _Optional[int] = ..., part_count: _Optional[int] = ..., pts: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., block: _Optional[int] = ..., encoding: _Optional[_Union[Encoding, str]] = ..., data: _Optional[bytes] = ..., crc32c: _Optional[int] = ...) -> None: ...

class CodecInit(_message.Message):
    __slots__ = ("encoding", "data", "codec")
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    CODEC_FIELD_NUMBER: _ClassVar[int]
    encoding: Encoding
    data: bytes
    codec: str
    def __init__(self, encoding: _Optional[_Union[Encoding, str]] = ..., data: _Optional[bytes] = ..., codec: _Optional[str] = ...) -> None: ...

class Fragment(_message.Message):
    __slots__ = ("first_index", "frame_count", "part", "part_count", "pts", "block", "encoding", "data", "crc32c")
    FIRST_INDEX_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    PART_COUNT_FIELD_NUMBER: _ClassVar[int]
    PTS_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    CRC32C_FIELD_NUMBER: _ClassVar[int]
    first_index: int
    frame_count: int
    part: int
    part_count: int
    pts: _duration_pb2.Duration
    block: int
    encoding: Encoding
    data: bytes
    crc32c: int
    def __init__(self, first_index: _Optional[int] = ..., frame_count: _Optional[int] = ..., part: _Optional[int] = ..., part_count: _Optional[int] = ..., pts: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., block: _Optional[int] = ..., encoding: _Optional[_Union[Encoding, str]] = ..., data: _Optional[bytes] = ..., crc32c: _Optional[int] = ...) -> None: ...

class Preview(_message.Message):
    __slots__ = ("step", "window", "index", "count", "jpeg")
    STEP_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    JPEG_FIELD_NUMBER: _ClassVar[int]
    step: int
    window: int
    index: int
    count: int
    jpeg: bytes
    def __init__(self, step: _Optional[int] = ..., window: _Optional[int] = ..., index: _Optional[int] = ..., count: _Optional[int] = ..., jpeg: _Optional[bytes] = ...) -> None: ...
