import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import status_pb2 as _status_pb2
from wancore_proto.v1 import frames_pb2 as _frames_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Priority(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRIORITY_UNSPECIFIED: _ClassVar[Priority]
    PRIORITY_LOW: _ClassVar[Priority]
    PRIORITY_NORMAL: _ClassVar[Priority]
    PRIORITY_HIGH: _ClassVar[Priority]

class OnDisconnect(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ON_DISCONNECT_UNSPECIFIED: _ClassVar[OnDisconnect]
    ON_DISCONNECT_KEEP: _ClassVar[OnDisconnect]
    ON_DISCONNECT_CANCEL_AFTER_GRACE: _ClassVar[OnDisconnect]

class Stage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STAGE_UNSPECIFIED: _ClassVar[Stage]
    STAGE_LOADING_MODEL: _ClassVar[Stage]
    STAGE_ENCODING_TEXT: _ClassVar[Stage]
    STAGE_ENCODING_INPUTS: _ClassVar[Stage]
    STAGE_DENOISING: _ClassVar[Stage]
    STAGE_DECODING: _ClassVar[Stage]
    STAGE_ENCODING_OUTPUT: _ClassVar[Stage]
PRIORITY_UNSPECIFIED: Priority
PRIORITY_LOW: Priority
PRIORITY_NORMAL: Priority
PRIORITY_HIGH: Priority
ON_DISCONNECT_UNSPECIFIED: OnDisconnect
ON_DISCONNECT_KEEP: OnDisconnect
ON_DISCONNECT_CANCEL_AFTER_GRACE: OnDisconnect
STAGE_UNSPECIFIED: Stage
STAGE_LOADING_MODEL: Stage
STAGE_ENCODING_TEXT: Stage
STAGE_ENCODING_INPUTS: Stage
STAGE_DENOISING: Stage
STAGE_DECODING: Stage
STAGE_ENCODING_OUTPUT: Stage

class Delivery(_message.Message):
    __slots__ = ("encodings", "previews")
    ENCODINGS_FIELD_NUMBER: _ClassVar[int]
    PREVIEWS_FIELD_NUMBER: _ClassVar[int]
    encodings: _containers.RepeatedScalarFieldContainer[_frames_pb2.Encoding]
    previews: bool
    def __init__(self, encodings: _Optional[_Iterable[_Union[_frames_pb2.Encoding, str]]] = ..., previews: _Optional[bool] = ...) -> None: ...

class MethodUse(_message.Message):
    __slots__ = ("name", "params")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    name: str
    params: _struct_pb2.Struct
    def __init__(self, name: _Optional[str] = ..., params: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class OverlapWindows(_message.Message):
    __slots__ = ("schedule", "frame_count", "overlap", "stride", "fuse")
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_FIELD_NUMBER: _ClassVar[int]
    STRIDE_FIELD_NUMBER: _ClassVar[int]
    FUSE_FIELD_NUMBER: _ClassVar[int]
    schedule: str
    frame_count: int
    overlap: int
    stride: int
    fuse: str
    def __init__(self, schedule: _Optional[str] = ..., frame_count: _Optional[int] = ..., overlap: _Optional[int] = ..., stride: _Optional[int] = ..., fuse: _Optional[str] = ...) -> None: ...

class Sampling(_message.Message):
    __slots__ = ("steps", "solver", "guidance", "shift", "methods", "windows", "sigmas")
    STEPS_FIELD_NUMBER: _ClassVar[int]
    SOLVER_FIELD_NUMBER: _ClassVar[int]
    GUIDANCE_FIELD_NUMBER: _ClassVar[int]
    SHIFT_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    SIGMAS_FIELD_NUMBER: _ClassVar[int]
    steps: int
    solver: str
    guidance: _containers.RepeatedScalarFieldContainer[float]
    shift: float
    methods: _containers.RepeatedCompositeFieldContainer[MethodUse]
    windows: OverlapWindows
    sigmas: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, steps: _Optional[int] = ..., solver: _Optional[str] = ..., guidance: _Optional[_Iterable[float]] = ..., shift: _Optional[float] = ..., methods: _Optional[_Iterable[_Union[MethodUse, _Mapping]]] = ..., windows: _Optional[_Union[OverlapWindows, _Mapping]] = ..., sigmas: _Optional[_Iterable[float]] = ...) -> None: ...

class FamilyUse(_message.Message):
    __slots__ = ("family", "params", "inputs", "modules")
    class InputsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    FAMILY_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    MODULES_FIELD_NUMBER: _ClassVar[int]
    family: str
    params: _struct_pb2.Struct
    inputs: _containers.ScalarMap[str, str]
    modules: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, family: _Optional[str] = ..., params: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., inputs: _Optional[_Mapping[str, str]] = ..., modules: _Optional[_Iterable[str]] = ...) -> None: ...

class LoraUse(_message.Message):
    __slots__ = ("name", "strengths", "expert", "blocks", "layers", "drop", "dora_norm", "partial")
    class Expert(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        EXPERT_UNSPECIFIED: _ClassVar[LoraUse.Expert]
        EXPERT_HIGH_NOISE: _ClassVar[LoraUse.Expert]
        EXPERT_LOW_NOISE: _ClassVar[LoraUse.Expert]
    EXPERT_UNSPECIFIED: LoraUse.Expert
    EXPERT_HIGH_NOISE: LoraUse.Expert
    EXPERT_LOW_NOISE: LoraUse.Expert
    class DoraNorm(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DORA_NORM_UNSPECIFIED: _ClassVar[LoraUse.DoraNorm]
        DORA_NORM_TRAINED: _ClassVar[LoraUse.DoraNorm]
        DORA_NORM_COMFYUI: _ClassVar[LoraUse.DoraNorm]
    DORA_NORM_UNSPECIFIED: LoraUse.DoraNorm
    DORA_NORM_TRAINED: LoraUse.DoraNorm
    DORA_NORM_COMFYUI: LoraUse.DoraNorm
    NAME_FIELD_NUMBER: _ClassVar[int]
    STRENGTHS_FIELD_NUMBER: _ClassVar[int]
    EXPERT_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    DROP_FIELD_NUMBER: _ClassVar[int]
    DORA_NORM_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    name: str
    strengths: _containers.RepeatedScalarFieldContainer[float]
    expert: LoraUse.Expert
    blocks: _containers.RepeatedScalarFieldContainer[int]
    layers: _containers.RepeatedScalarFieldContainer[str]
    drop: _containers.RepeatedScalarFieldContainer[str]
    dora_norm: LoraUse.DoraNorm
    partial: bool
    def __init__(self, name: _Optional[str] = ..., strengths: _Optional[_Iterable[float]] = ..., expert: _Optional[_Union[LoraUse.Expert, str]] = ..., blocks: _Optional[_Iterable[int]] = ..., layers: _Optional[_Iterable[str]] = ..., drop: _Optional[_Iterable[str]] = ..., dora_norm: _Optional[_Union[LoraUse.DoraNorm, str]] = ..., partial: _Optional[bool] = ...) -> None: ...

class JobSpec(_message.Message):
    __slots__ = ("family", "model", "prompt", "negative_prompt", "shape", "seed", "params", "inputs", "loras", "delivery", "priority", "max_run_duration", "expire_time", "on_disconnect", "attachments", "sampling", "modules")
    class InputsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    FAMILY_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_PROMPT_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    LORAS_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    MAX_RUN_DURATION_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    ON_DISCONNECT_FIELD_NUMBER: _ClassVar[int]
    ATTACHMENTS_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    MODULES_FIELD_NUMBER: _ClassVar[int]
    family: str
    model: str
    prompt: str
    negative_prompt: str
    shape: _frames_pb2.VideoShape
    seed: int
    params: _struct_pb2.Struct
    inputs: _containers.ScalarMap[str, str]
    loras: _containers.RepeatedCompositeFieldContainer[LoraUse]
    delivery: Delivery
    priority: Priority
    max_run_duration: _duration_pb2.Duration
    expire_time: _timestamp_pb2.Timestamp
    on_disconnect: OnDisconnect
    attachments: _containers.RepeatedCompositeFieldContainer[FamilyUse]
    sampling: Sampling
    modules: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, family: _Optional[str] = ..., model: _Optional[str] = ..., prompt: _Optional[str] = ..., negative_prompt: _Optional[str] = ..., shape: _Optional[_Union[_frames_pb2.VideoShape, _Mapping]] = ..., seed: _Optional[int] = ..., params: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., inputs: _Optional[_Mapping[str, str]] = ..., loras: _Optional[_Iterable[_Union[LoraUse, _Mapping]]] = ..., delivery: _Optional[_Union[Delivery, _Mapping]] = ..., priority: _Optional[_Union[Priority, str]] = ..., max_run_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., on_disconnect: _Optional[_Union[OnDisconnect, str]] = ..., attachments: _Optional[_Iterable[_Union[FamilyUse, _Mapping]]] = ..., sampling: _Optional[_Union[Sampling, _Mapping]] = ..., modules: _Optional[_Iterable[str]] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("name", "spec", "state", "stage", "attempt", "error", "create_time", "start_time", "end_time", "expire_time", "step", "step_count", "frame_count", "format", "seed", "queue", "artifacts", "plugin_version", "schema_hash")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Job.State]
        STATE_QUEUED: _ClassVar[Job.State]
        STATE_STARTING: _ClassVar[Job.State]
        STATE_RUNNING: _ClassVar[Job.State]
        STATE_SUCCEEDED: _ClassVar[Job.State]
        STATE_FAILED: _ClassVar[Job.State]
        STATE_CANCELLING: _ClassVar[Job.State]
        STATE_CANCELLED: _ClassVar[Job.State]
    STATE_UNSPECIFIED: Job.State
    STATE_QUEUED: Job.State
    STATE_STARTING: Job.State
    STATE_RUNNING: Job.State
    STATE_SUCCEEDED: Job.State
    STATE_FAILED: Job.State
    STATE_CANCELLING: Job.State
    STATE_CANCELLED: Job.State
    NAME_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    STEP_COUNT_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    ARTIFACTS_FIELD_NUMBER: _ClassVar[int]
    PLUGIN_VERSION_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_HASH_FIELD_NUMBER: _ClassVar[int]
    name: str
    spec: JobSpec
    state: Job.State
    stage: Stage
    attempt: int
    error: _status_pb2.Status
    create_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    step: int
    step_count: int
    frame_count: int
    format: _frames_pb2.VideoFormat
    seed: int
    queue: QueueUpdate
    artifacts: _containers.RepeatedCompositeFieldContainer[Artifact]
    plugin_version: str
    schema_hash: str
    def __init__(self, name: _Optional[str] = ..., spec: _Optional[_Union[JobSpec, _Mapping]] = ..., state: _Optional[_Union[Job.State, str]] = ..., stage: _Optional[_Union[Stage, str]] = ..., attempt: _Optional[int] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., step: _Optional[int] = ..., step_count: _Optional[int] = ..., frame_count: _Optional[int] = ..., format: _Optional[_Union[_frames_pb2.VideoFormat, _Mapping]] = ..., seed: _Optional[int] = ..., queue: _Optional[_Union[QueueUpdate, _Mapping]] = ..., artifacts: _Optional[_Iterable[_Union[Artifact, _Mapping]]] = ..., plugin_version: _Optional[str] = ..., schema_hash: _Optional[str] = ...) -> None: ...

class Artifact(_message.Message):
    __slots__ = ("name", "encoding", "size_bytes", "media_type")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    encoding: _frames_pb2.Encoding
    size_bytes: int
    media_type: str
    def __init__(self, name: _Optional[str] = ..., encoding: _Optional[_Union[_frames_pb2.Encoding, str]] = ..., size_bytes: _Optional[int] = ..., media_type: _Optional[str] = ...) -> None: ...

class JobEvent(_message.Message):
    __slots__ = ("sequence", "attempt", "time", "state", "queue", "stage", "preview", "header", "frame", "codec_init", "fragment", "artifact", "skipped", "warning", "heartbeat", "result", "attempt_started")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    CODEC_INIT_FIELD_NUMBER: _ClassVar[int]
    FRAGMENT_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    WARNING_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_STARTED_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    attempt: int
    time: _timestamp_pb2.Timestamp
    state: StateChanged
    queue: QueueUpdate
    stage: StageProgress
    preview: _frames_pb2.Preview
    header: _frames_pb2.StreamHeader
    frame: _frames_pb2.Frame
    codec_init: _frames_pb2.CodecInit
    fragment: _frames_pb2.Fragment
    artifact: ArtifactReady
    skipped: FramesSkipped
    warning: Warning
    heartbeat: Heartbeat
    result: JobResult
    attempt_started: AttemptStarted
    def __init__(self, sequence: _Optional[int] = ..., attempt: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., state: _Optional[_Union[StateChanged, _Mapping]] = ..., queue: _Optional[_Union[QueueUpdate, _Mapping]] = ..., stage: _Optional[_Union[StageProgress, _Mapping]] = ..., preview: _Optional[_Union[_frames_pb2.Preview, _Mapping]] = ..., header: _Optional[_Union[_frames_pb2.StreamHeader, _Mapping]] = ..., frame: _Optional[_Union[_frames_pb2.Frame, _Mapping]] = ..., codec_init: _Optional[_Union[_frames_pb2.CodecInit, _Mapping]] = ..., fragment: _Optional[_Union[_frames_pb2.Fragment, _Mapping]] = ..., artifact: _Optional[_Union[ArtifactReady, _Mapping]] = ..., skipped: _Optional[_Union[FramesSkipped, _Mapping]] = ..., warning: _Optional[_Union[Warning, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., result: _Optional[_Union[JobResult, _Mapping]] = ..., attempt_started: _Optional[_Union[AttemptStarted, _Mapping]] = ...) -> None: ...

class StateChanged(_message.Message):
    __slots__ = ("state", "previous")
    STATE_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    state: Job.State
    previous: Job.State
    def __init__(self, state: _Optional[_Union[Job.State, str]] = ..., previous: _Optional[_Union[Job.State, str]] = ...) -> None: ...

class QueueUpdate(_message.Message):
    __slots__ = ("position", "start_estimate", "finish_estimate")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    START_ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    FINISH_ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    position: int
    start_estimate: _timestamp_pb2.Timestamp
    finish_estimate: _timestamp_pb2.Timestamp
    def __init__(self, position: _Optional[int] = ..., start_estimate: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., finish_estimate: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class StageProgress(_message.Message):
    __slots__ = ("stage", "step", "step_count", "window", "remaining", "detail")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    STEP_COUNT_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    REMAINING_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    stage: Stage
    step: int
    step_count: int
    window: int
    remaining: _duration_pb2.Duration
    detail: str
    def __init__(self, stage: _Optional[_Union[Stage, str]] = ..., step: _Optional[int] = ..., step_count: _Optional[int] = ..., window: _Optional[int] = ..., remaining: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., detail: _Optional[str] = ...) -> None: ...

class ArtifactReady(_message.Message):
    __slots__ = ("artifact",)
    ARTIFACT_FIELD_NUMBER: _ClassVar[int]
    artifact: Artifact
    def __init__(self, artifact: _Optional[_Union[Artifact, _Mapping]] = ...) -> None: ...

class FramesSkipped(_message.Message):
    __slots__ = ("first_index", "count")
    FIRST_INDEX_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    first_index: int
    count: int
    def __init__(self, first_index: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

class Warning(_message.Message):
    __slots__ = ("reason", "message")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class JobResult(_message.Message):
    __slots__ = ("state", "error", "frame_count", "first_frame_latency", "run_duration", "stage_seconds")
    class StageSecondsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    STATE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    FIRST_FRAME_LATENCY_FIELD_NUMBER: _ClassVar[int]
    RUN_DURATION_FIELD_NUMBER: _ClassVar[int]
    STAGE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    state: Job.State
    error: _status_pb2.Status
    frame_count: int
    first_frame_latency: _duration_pb2.Duration
    run_duration: _duration_pb2.Duration
    stage_seconds: _containers.ScalarMap[str, float]
    def __init__(self, state: _Optional[_Union[Job.State, str]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ..., frame_count: _Optional[int] = ..., first_frame_latency: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., run_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., stage_seconds: _Optional[_Mapping[str, float]] = ...) -> None: ...

class AttemptStarted(_message.Message):
    __slots__ = ("attempt", "reason")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    reason: str
    def __init__(self, attempt: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...
