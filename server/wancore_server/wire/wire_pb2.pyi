from collections.abc import Iterable as _Iterable
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar

from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.rpc import status_pb2 as _status_pb2
from wancore_proto.v1 import catalog_service_pb2 as _catalog_service_pb2
from wancore_proto.v1 import frames_pb2 as _frames_pb2
from wancore_proto.v1 import job_pb2 as _job_pb2

DESCRIPTOR: _descriptor.FileDescriptor

class ToWorker(_message.Message):
    __slots__ = ("canary", "cancel", "load", "room", "run", "unload")
    RUN_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    ROOM_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    UNLOAD_FIELD_NUMBER: _ClassVar[int]
    CANARY_FIELD_NUMBER: _ClassVar[int]
    run: RunJob
    cancel: CancelAttempt
    room: SpoolRoom
    load: HoldModel
    unload: HoldModel
    canary: Canary
    def __init__(
        self,
        run: RunJob | _Mapping | None = ...,
        cancel: CancelAttempt | _Mapping | None = ...,
        room: SpoolRoom | _Mapping | None = ...,
        load: HoldModel | _Mapping | None = ...,
        unload: HoldModel | _Mapping | None = ...,
        canary: Canary | _Mapping | None = ...,
    ) -> None: ...

class Lease(_message.Message):
    __slots__ = ("attempt", "epoch", "job")
    JOB_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    job: str
    attempt: int
    epoch: int
    def __init__(self, job: str | None = ..., attempt: int | None = ..., epoch: int | None = ...) -> None: ...

class RunJob(_message.Message):
    __slots__ = ("lease", "previews", "request", "room_bytes", "room_wait_s", "spool_path")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    SPOOL_PATH_FIELD_NUMBER: _ClassVar[int]
    ROOM_BYTES_FIELD_NUMBER: _ClassVar[int]
    ROOM_WAIT_S_FIELD_NUMBER: _ClassVar[int]
    PREVIEWS_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    request: str
    spool_path: str
    room_bytes: int
    room_wait_s: float
    previews: bool
    def __init__(
        self,
        lease: Lease | _Mapping | None = ...,
        request: str | None = ...,
        spool_path: str | None = ...,
        room_bytes: int | None = ...,
        room_wait_s: float | None = ...,
        previews: bool | None = ...,
    ) -> None: ...

class CancelAttempt(_message.Message):
    __slots__ = ("lease",)
    LEASE_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    def __init__(self, lease: Lease | _Mapping | None = ...) -> None: ...

class SpoolRoom(_message.Message):
    __slots__ = ("lease", "total_bytes")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    total_bytes: int
    def __init__(self, lease: Lease | _Mapping | None = ..., total_bytes: int | None = ...) -> None: ...

class HoldModel(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: str | None = ...) -> None: ...

class Canary(_message.Message):
    __slots__ = ("scratch_path",)
    SCRATCH_PATH_FIELD_NUMBER: _ClassVar[int]
    scratch_path: str
    def __init__(self, scratch_path: str | None = ...) -> None: ...

class FromWorker(_message.Message):
    __slots__ = (
        "beat",
        "block",
        "canary",
        "ended",
        "need_room",
        "preview",
        "progress",
        "ready",
        "resident",
        "settled",
    )
    READY_FIELD_NUMBER: _ClassVar[int]
    BEAT_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    NEED_ROOM_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    CANARY_FIELD_NUMBER: _ClassVar[int]
    RESIDENT_FIELD_NUMBER: _ClassVar[int]
    ready: Ready
    beat: Beat
    settled: Settled
    progress: Progress
    preview: PreviewMade
    block: BlockWritten
    need_room: NeedRoom
    ended: Ended
    canary: CanaryDone
    resident: Resident
    def __init__(
        self,
        ready: Ready | _Mapping | None = ...,
        beat: Beat | _Mapping | None = ...,
        settled: Settled | _Mapping | None = ...,
        progress: Progress | _Mapping | None = ...,
        preview: PreviewMade | _Mapping | None = ...,
        block: BlockWritten | _Mapping | None = ...,
        need_room: NeedRoom | _Mapping | None = ...,
        ended: Ended | _Mapping | None = ...,
        canary: CanaryDone | _Mapping | None = ...,
        resident: Resident | _Mapping | None = ...,
    ) -> None: ...

class Ready(_message.Message):
    __slots__ = ("device",)
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    device: str
    def __init__(self, device: str | None = ...) -> None: ...

class Beat(_message.Message):
    __slots__ = ("memory_bytes", "patient")
    PATIENT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    patient: bool
    memory_bytes: int
    def __init__(self, patient: bool | None = ..., memory_bytes: int | None = ...) -> None: ...

class Settled(_message.Message):
    __slots__ = ("format", "lease", "seed")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    format: _frames_pb2.VideoFormat
    seed: int
    def __init__(
        self,
        lease: Lease | _Mapping | None = ...,
        format: _frames_pb2.VideoFormat | _Mapping | None = ...,
        seed: int | None = ...,
    ) -> None: ...

class Progress(_message.Message):
    __slots__ = ("lease", "stage", "started")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    stage: _job_pb2.StageProgress
    started: bool
    def __init__(
        self,
        lease: Lease | _Mapping | None = ...,
        stage: _job_pb2.StageProgress | _Mapping | None = ...,
        started: bool | None = ...,
    ) -> None: ...

class PreviewMade(_message.Message):
    __slots__ = ("lease", "pictures")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    PICTURES_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    pictures: _containers.RepeatedCompositeFieldContainer[_frames_pb2.Preview]
    def __init__(
        self,
        lease: Lease | _Mapping | None = ...,
        pictures: _Iterable[_frames_pb2.Preview | _Mapping] | None = ...,
    ) -> None: ...

class BlockWritten(_message.Message):
    __slots__ = ("crc32c", "first_frame", "frame_count", "height", "lease", "offset_bytes", "width")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    FIRST_FRAME_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_BYTES_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    CRC32C_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    first_frame: int
    frame_count: int
    offset_bytes: int
    width: int
    height: int
    crc32c: _containers.RepeatedScalarFieldContainer[int]
    def __init__(
        self,
        lease: Lease | _Mapping | None = ...,
        first_frame: int | None = ...,
        frame_count: int | None = ...,
        offset_bytes: int | None = ...,
        width: int | None = ...,
        height: int | None = ...,
        crc32c: _Iterable[int] | None = ...,
    ) -> None: ...

class NeedRoom(_message.Message):
    __slots__ = ("lease", "total_bytes")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    total_bytes: int
    def __init__(self, lease: Lease | _Mapping | None = ..., total_bytes: int | None = ...) -> None: ...

class Ended(_message.Message):
    __slots__ = ("error", "first_frame_s", "how", "lease", "spent", "stage_seconds")
    class How(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SUCCEEDED: _ClassVar[Ended.How]
        FAILED: _ClassVar[Ended.How]
        CANCELLED: _ClassVar[Ended.How]

    SUCCEEDED: Ended.How
    FAILED: Ended.How
    CANCELLED: Ended.How
    class StageSecondsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: str | None = ..., value: float | None = ...) -> None: ...

    LEASE_FIELD_NUMBER: _ClassVar[int]
    HOW_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    FIRST_FRAME_S_FIELD_NUMBER: _ClassVar[int]
    STAGE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SPENT_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    how: Ended.How
    error: _status_pb2.Status
    first_frame_s: float
    stage_seconds: _containers.ScalarMap[str, float]
    spent: bool
    def __init__(
        self,
        lease: Lease | _Mapping | None = ...,
        how: Ended.How | str | None = ...,
        error: _status_pb2.Status | _Mapping | None = ...,
        first_frame_s: float | None = ...,
        stage_seconds: _Mapping[str, float] | None = ...,
        spent: bool | None = ...,
    ) -> None: ...

class CanaryDone(_message.Message):
    __slots__ = ("good",)
    GOOD_FIELD_NUMBER: _ClassVar[int]
    good: bool
    def __init__(self, good: bool | None = ...) -> None: ...

class Resident(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, models: _Iterable[str] | None = ...) -> None: ...

class EncodeBlock(_message.Message):
    __slots__ = (
        "encoding",
        "first_frame",
        "fragment",
        "frame_count",
        "frame_rate",
        "height",
        "offset_bytes",
        "spool_path",
        "task",
        "track_bytes",
        "track_path",
        "width",
    )
    TASK_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    SPOOL_PATH_FIELD_NUMBER: _ClassVar[int]
    OFFSET_BYTES_FIELD_NUMBER: _ClassVar[int]
    FIRST_FRAME_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    FRAME_RATE_FIELD_NUMBER: _ClassVar[int]
    TRACK_PATH_FIELD_NUMBER: _ClassVar[int]
    TRACK_BYTES_FIELD_NUMBER: _ClassVar[int]
    FRAGMENT_FIELD_NUMBER: _ClassVar[int]
    task: int
    encoding: _frames_pb2.Encoding
    spool_path: str
    offset_bytes: int
    first_frame: int
    frame_count: int
    width: int
    height: int
    frame_rate: _frames_pb2.FrameRate
    track_path: str
    track_bytes: int
    fragment: int
    def __init__(
        self,
        task: int | None = ...,
        encoding: _frames_pb2.Encoding | str | None = ...,
        spool_path: str | None = ...,
        offset_bytes: int | None = ...,
        first_frame: int | None = ...,
        frame_count: int | None = ...,
        width: int | None = ...,
        height: int | None = ...,
        frame_rate: _frames_pb2.FrameRate | _Mapping | None = ...,
        track_path: str | None = ...,
        track_bytes: int | None = ...,
        fragment: int | None = ...,
    ) -> None: ...

class BlockEncoded(_message.Message):
    __slots__ = ("pieces", "problem", "seconds", "task")
    TASK_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    PIECES_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    task: int
    problem: str
    pieces: _containers.RepeatedCompositeFieldContainer[TrackPiece]
    seconds: float
    def __init__(
        self,
        task: int | None = ...,
        problem: str | None = ...,
        pieces: _Iterable[TrackPiece | _Mapping] | None = ...,
        seconds: float | None = ...,
    ) -> None: ...

class TrackPiece(_message.Message):
    __slots__ = ("codec", "crc32c", "first_frame", "frame_count", "offset_bytes", "size_bytes")
    FIRST_FRAME_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_BYTES_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    CRC32C_FIELD_NUMBER: _ClassVar[int]
    CODEC_FIELD_NUMBER: _ClassVar[int]
    first_frame: int
    frame_count: int
    offset_bytes: int
    size_bytes: int
    crc32c: int
    codec: str
    def __init__(
        self,
        first_frame: int | None = ...,
        frame_count: int | None = ...,
        offset_bytes: int | None = ...,
        size_bytes: int | None = ...,
        crc32c: int | None = ...,
        codec: str | None = ...,
    ) -> None: ...

class ProbeReport(_message.Message):
    __slots__ = ("catalog", "importing", "pid")
    PID_FIELD_NUMBER: _ClassVar[int]
    IMPORTING_FIELD_NUMBER: _ClassVar[int]
    CATALOG_FIELD_NUMBER: _ClassVar[int]
    pid: int
    importing: str
    catalog: Catalog
    def __init__(
        self,
        pid: int | None = ...,
        importing: str | None = ...,
        catalog: Catalog | _Mapping | None = ...,
    ) -> None: ...

class Catalog(_message.Message):
    __slots__ = ("families", "methods", "models", "plugins", "solvers")
    FAMILIES_FIELD_NUMBER: _ClassVar[int]
    PLUGINS_FIELD_NUMBER: _ClassVar[int]
    SOLVERS_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    families: _containers.RepeatedCompositeFieldContainer[_catalog_service_pb2.Family]
    plugins: _containers.RepeatedCompositeFieldContainer[_catalog_service_pb2.Plugin]
    solvers: _containers.RepeatedScalarFieldContainer[str]
    methods: _containers.RepeatedCompositeFieldContainer[_catalog_service_pb2.Method]
    models: _containers.RepeatedCompositeFieldContainer[ModelFile]
    def __init__(
        self,
        families: _Iterable[_catalog_service_pb2.Family | _Mapping] | None = ...,
        plugins: _Iterable[_catalog_service_pb2.Plugin | _Mapping] | None = ...,
        solvers: _Iterable[str] | None = ...,
        methods: _Iterable[_catalog_service_pb2.Method | _Mapping] | None = ...,
        models: _Iterable[ModelFile | _Mapping] | None = ...,
    ) -> None: ...

class ModelFile(_message.Message):
    __slots__ = ("engine_name", "model")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ENGINE_NAME_FIELD_NUMBER: _ClassVar[int]
    model: _catalog_service_pb2.Model
    engine_name: str
    def __init__(
        self,
        model: _catalog_service_pb2.Model | _Mapping | None = ...,
        engine_name: str | None = ...,
    ) -> None: ...

class Decoded(_message.Message):
    __slots__ = ("frame_count", "height", "kind", "problem", "width")
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    problem: str
    kind: int
    width: int
    height: int
    frame_count: int
    def __init__(
        self,
        problem: str | None = ...,
        kind: int | None = ...,
        width: int | None = ...,
        height: int | None = ...,
        frame_count: int | None = ...,
    ) -> None: ...
