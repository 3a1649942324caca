import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import status_pb2 as _status_pb2
from wancore_proto.v1 import frames_pb2 as _frames_pb2
from wancore_proto.v1 import job_pb2 as _job_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateSessionRequest(_message.Message):
    __slots__ = ("spec", "live_inputs", "max_lead_blocks")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    LIVE_INPUTS_FIELD_NUMBER: _ClassVar[int]
    MAX_LEAD_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    spec: _job_pb2.JobSpec
    live_inputs: _containers.RepeatedScalarFieldContainer[str]
    max_lead_blocks: int
    def __init__(self, spec: _Optional[_Union[_job_pb2.JobSpec, _Mapping]] = ..., live_inputs: _Optional[_Iterable[str]] = ..., max_lead_blocks: _Optional[int] = ...) -> None: ...

class Session(_message.Message):
    __slots__ = ("name", "spec", "state", "live_inputs", "sample_rate", "format", "seed", "block_count", "frame_count", "max_lead_blocks", "create_time", "end_time", "error")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Session.State]
        STATE_WAITING: _ClassVar[Session.State]
        STATE_STARTING: _ClassVar[Session.State]
        STATE_LIVE: _ClassVar[Session.State]
        STATE_ENDED: _ClassVar[Session.State]
    STATE_UNSPECIFIED: Session.State
    STATE_WAITING: Session.State
    STATE_STARTING: Session.State
    STATE_LIVE: Session.State
    STATE_ENDED: Session.State
    NAME_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LIVE_INPUTS_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    BLOCK_COUNT_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    MAX_LEAD_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    name: str
    spec: _job_pb2.JobSpec
    state: Session.State
    live_inputs: _containers.RepeatedScalarFieldContainer[str]
    sample_rate: int
    format: _frames_pb2.VideoFormat
    seed: int
    block_count: int
    frame_count: int
    max_lead_blocks: int
    create_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    error: _status_pb2.Status
    def __init__(self, name: _Optional[str] = ..., spec: _Optional[_Union[_job_pb2.JobSpec, _Mapping]] = ..., state: _Optional[_Union[Session.State, str]] = ..., live_inputs: _Optional[_Iterable[str]] = ..., sample_rate: _Optional[int] = ..., format: _Optional[_Union[_frames_pb2.VideoFormat, _Mapping]] = ..., seed: _Optional[int] = ..., block_count: _Optional[int] = ..., frame_count: _Optional[int] = ..., max_lead_blocks: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class GetSessionRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class EndSessionRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class LiveRequest(_message.Message):
    __slots__ = ("header", "audio", "control", "ack", "end")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    CONTROL_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    header: LiveHeader
    audio: AudioChunk
    control: Control
    ack: BlockAck
    end: EndOfInput
    def __init__(self, header: _Optional[_Union[LiveHeader, _Mapping]] = ..., audio: _Optional[_Union[AudioChunk, _Mapping]] = ..., control: _Optional[_Union[Control, _Mapping]] = ..., ack: _Optional[_Union[BlockAck, _Mapping]] = ..., end: _Optional[_Union[EndOfInput, _Mapping]] = ...) -> None: ...

class LiveHeader(_message.Message):
    __slots__ = ("session", "encoding", "next_block", "client_time")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    NEXT_BLOCK_FIELD_NUMBER: _ClassVar[int]
    CLIENT_TIME_FIELD_NUMBER: _ClassVar[int]
    session: str
    encoding: _frames_pb2.Encoding
    next_block: int
    client_time: _timestamp_pb2.Timestamp
    def __init__(self, session: _Optional[str] = ..., encoding: _Optional[_Union[_frames_pb2.Encoding, str]] = ..., next_block: _Optional[int] = ..., client_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class AudioChunk(_message.Message):
    __slots__ = ("role", "position", "pcm16")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    PCM16_FIELD_NUMBER: _ClassVar[int]
    role: str
    position: int
    pcm16: bytes
    def __init__(self, role: _Optional[str] = ..., position: _Optional[int] = ..., pcm16: _Optional[bytes] = ...) -> None: ...

class Control(_message.Message):
    __slots__ = ("id", "displayed_block", "prompt", "pause", "resume")
    ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAYED_BLOCK_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    id: str
    displayed_block: int
    prompt: PromptChange
    pause: Pause
    resume: Resume
    def __init__(self, id: _Optional[str] = ..., displayed_block: _Optional[int] = ..., prompt: _Optional[_Union[PromptChange, _Mapping]] = ..., pause: _Optional[_Union[Pause, _Mapping]] = ..., resume: _Optional[_Union[Resume, _Mapping]] = ...) -> None: ...

class PromptChange(_message.Message):
    __slots__ = ("prompt", "negative_prompt")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_PROMPT_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    negative_prompt: str
    def __init__(self, prompt: _Optional[str] = ..., negative_prompt: _Optional[str] = ...) -> None: ...

class Pause(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Resume(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BlockAck(_message.Message):
    __slots__ = ("block",)
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    block: int
    def __init__(self, block: _Optional[int] = ...) -> None: ...

class EndOfInput(_message.Message):
    __slots__ = ("role",)
    ROLE_FIELD_NUMBER: _ClassVar[int]
    role: str
    def __init__(self, role: _Optional[str] = ...) -> None: ...

class LiveEvent(_message.Message):
    __slots__ = ("joined", "settled", "stage", "block", "frame", "codec_init", "fragment", "block_end", "control", "audio", "warning", "heartbeat", "end")
    JOINED_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    CODEC_INIT_FIELD_NUMBER: _ClassVar[int]
    FRAGMENT_FIELD_NUMBER: _ClassVar[int]
    BLOCK_END_FIELD_NUMBER: _ClassVar[int]
    CONTROL_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    WARNING_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    joined: Joined
    settled: SessionSettled
    stage: _job_pb2.StageProgress
    block: BlockStart
    frame: _frames_pb2.Frame
    codec_init: _frames_pb2.CodecInit
    fragment: _frames_pb2.Fragment
    block_end: BlockEnd
    control: ControlResult
    audio: AudioReceived
    warning: _job_pb2.Warning
    heartbeat: _job_pb2.Heartbeat
    end: SessionEnd
    def __init__(self, joined: _Optional[_Union[Joined, _Mapping]] = ..., settled: _Optional[_Union[SessionSettled, _Mapping]] = ..., stage: _Optional[_Union[_job_pb2.StageProgress, _Mapping]] = ..., block: _Optional[_Union[BlockStart, _Mapping]] = ..., frame: _Optional[_Union[_frames_pb2.Frame, _Mapping]] = ..., codec_init: _Optional[_Union[_frames_pb2.CodecInit, _Mapping]] = ..., fragment: _Optional[_Union[_frames_pb2.Fragment, _Mapping]] = ..., block_end: _Optional[_Union[BlockEnd, _Mapping]] = ..., control: _Optional[_Union[ControlResult, _Mapping]] = ..., audio: _Optional[_Union[AudioReceived, _Mapping]] = ..., warning: _Optional[_Union[_job_pb2.Warning, _Mapping]] = ..., heartbeat: _Optional[_Union[_job_pb2.Heartbeat, _Mapping]] = ..., end: _Optional[_Union[SessionEnd, _Mapping]] = ...) -> None: ...

class Joined(_message.Message):
    __slots__ = ("session", "next_block", "audio", "audio_limit", "acknowledged_block")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    NEXT_BLOCK_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    AUDIO_LIMIT_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_BLOCK_FIELD_NUMBER: _ClassVar[int]
    session: Session
    next_block: int
    audio: _containers.RepeatedCompositeFieldContainer[AudioReceived]
    audio_limit: int
    acknowledged_block: int
    def __init__(self, session: _Optional[_Union[Session, _Mapping]] = ..., next_block: _Optional[int] = ..., audio: _Optional[_Iterable[_Union[AudioReceived, _Mapping]]] = ..., audio_limit: _Optional[int] = ..., acknowledged_block: _Optional[int] = ...) -> None: ...

class SessionSettled(_message.Message):
    __slots__ = ("format", "seed")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    format: _frames_pb2.VideoFormat
    seed: int
    def __init__(self, format: _Optional[_Union[_frames_pb2.VideoFormat, _Mapping]] = ..., seed: _Optional[int] = ...) -> None: ...

class BlockStart(_message.Message):
    __slots__ = ("block", "first_frame", "frame_count")
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    FIRST_FRAME_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    block: int
    first_frame: int
    frame_count: int
    def __init__(self, block: _Optional[int] = ..., first_frame: _Optional[int] = ..., frame_count: _Optional[int] = ...) -> None: ...

class BlockEnd(_message.Message):
    __slots__ = ("block",)
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    block: int
    def __init__(self, block: _Optional[int] = ...) -> None: ...

class ControlResult(_message.Message):
    __slots__ = ("id", "block", "error")
    ID_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    id: str
    block: int
    error: _status_pb2.Status
    def __init__(self, id: _Optional[str] = ..., block: _Optional[int] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class AudioReceived(_message.Message):
    __slots__ = ("role", "received", "used")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    role: str
    received: int
    used: int
    def __init__(self, role: _Optional[str] = ..., received: _Optional[int] = ..., used: _Optional[int] = ...) -> None: ...

class SessionEnd(_message.Message):
    __slots__ = ("block_count", "frame_count", "error")
    BLOCK_COUNT_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    block_count: int
    frame_count: int
    error: _status_pb2.Status
    def __init__(self, block_count: _Optional[int] = ..., frame_count: _Optional[int] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...
