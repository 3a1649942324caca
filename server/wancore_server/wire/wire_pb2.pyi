from google.rpc import status_pb2 as _status_pb2
from wancore_proto.v1 import catalog_service_pb2 as _catalog_service_pb2
from wancore_proto.v1 import frames_pb2 as _frames_pb2
from wancore_proto.v1 import job_pb2 as _job_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ToWorker(_message.Message):
    __slots__ = ("run", "cancel", "room", "load", "unload", "canary", "load_lora", "unload_lora", "live")
    RUN_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    ROOM_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    UNLOAD_FIELD_NUMBER: _ClassVar[int]
    CANARY_FIELD_NUMBER: _ClassVar[int]
    LOAD_LORA_FIELD_NUMBER: _ClassVar[int]
    UNLOAD_LORA_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    run: RunJob
    cancel: CancelAttempt
    room: SpoolRoom
    load: HoldModel
    unload: HoldModel
    canary: Canary
    load_lora: HoldLora
    unload_lora: HoldLora
    live: LiveInput
    def __init__(self, run: _Optional[_Union[RunJob, _Mapping]] = ..., cancel: _Optional[_Union[CancelAttempt, _Mapping]] = ..., room: _Optional[_Union[SpoolRoom, _Mapping]] = ..., load: _Optional[_Union[HoldModel, _Mapping]] = ..., unload: _Optional[_Union[HoldModel, _Mapping]] = ..., canary: _Optional[_Union[Canary, _Mapping]] = ..., load_lora: _Optional[_Union[HoldLora, _Mapping]] = ..., unload_lora: _Optional[_Union[HoldLora, _Mapping]] = ..., live: _Optional[_Union[LiveInput, _Mapping]] = ...) -> None: ...

class Lease(_message.Message):
    __slots__ = ("job", "attempt", "epoch")
    JOB_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    job: str
    attempt: int
    epoch: int
    def __init__(self, job: _Optional[str] = ..., attempt: _Optional[int] = ..., epoch: _Optional[int] = ...) -> None: ...

class RunJob(_message.Message):
    __slots__ = ("lease", "request", "spool_path", "room_bytes", "room_wait_s", "previews", "live")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    SPOOL_PATH_FIELD_NUMBER: _ClassVar[int]
    ROOM_BYTES_FIELD_NUMBER: _ClassVar[int]
    ROOM_WAIT_S_FIELD_NUMBER: _ClassVar[int]
    PREVIEWS_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    request: str
    spool_path: str
    room_bytes: int
    room_wait_s: float
    previews: bool
    live: LiveRun
    def __init__(self, lease: _Optional[_Union[Lease, _Mapping]] = ..., request: _Optional[str] = ..., spool_path: _Optional[str] = ..., room_bytes: _Optional[int] = ..., room_wait_s: _Optional[float] = ..., previews: _Optional[bool] = ..., live: _Optional[_Union[LiveRun, _Mapping]] = ...) -> None: ...

class LiveRun(_message.Message):
    __slots__ = ("roles", "sample_rate", "allowed_blocks", "lease_s")
    ROLES_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    LEASE_S_FIELD_NUMBER: _ClassVar[int]
    roles: _containers.RepeatedScalarFieldContainer[str]
    sample_rate: int
    allowed_blocks: int
    lease_s: float
    def __init__(self, roles: _Optional[_Iterable[str]] = ..., sample_rate: _Optional[int] = ..., allowed_blocks: _Optional[int] = ..., lease_s: _Optional[float] = ...) -> None: ...

class LiveInput(_message.Message):
    __slots__ = ("lease", "sound", "allowed_blocks", "pause", "steer", "ended_role", "renewed")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    SOUND_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    STEER_FIELD_NUMBER: _ClassVar[int]
    ENDED_ROLE_FIELD_NUMBER: _ClassVar[int]
    RENEWED_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    sound: LiveSound
    allowed_blocks: int
    pause: Pause
    steer: Steer
    ended_role: str
    renewed: bool
    def __init__(self, lease: _Optional[_Union[Lease, _Mapping]] = ..., sound: _Optional[_Union[LiveSound, _Mapping]] = ..., allowed_blocks: _Optional[int] = ..., pause: _Optional[_Union[Pause, _Mapping]] = ..., steer: _Optional[_Union[Steer, _Mapping]] = ..., ended_role: _Optional[str] = ..., renewed: _Optional[bool] = ...) -> None: ...

class LiveSound(_message.Message):
    __slots__ = ("role", "pcm16")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    PCM16_FIELD_NUMBER: _ClassVar[int]
    role: str
    pcm16: bytes
    def __init__(self, role: _Optional[str] = ..., pcm16: _Optional[bytes] = ...) -> None: ...

class Pause(_message.Message):
    __slots__ = ("id", "paused")
    ID_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    id: str
    paused: bool
    def __init__(self, id: _Optional[str] = ..., paused: _Optional[bool] = ...) -> None: ...

class Steer(_message.Message):
    __slots__ = ("id", "prompt", "negative_prompt")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_PROMPT_FIELD_NUMBER: _ClassVar[int]
    id: str
    prompt: str
    negative_prompt: str
    def __init__(self, id: _Optional[str] = ..., prompt: _Optional[str] = ..., negative_prompt: _Optional[str] = ...) -> None: ...

class CancelAttempt(_message.Message):
    __slots__ = ("lease",)
    LEASE_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    def __init__(self, lease: _Optional[_Union[Lease, _Mapping]] = ...) -> None: ...

class SpoolRoom(_message.Message):
    __slots__ = ("lease", "total_bytes")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    total_bytes: int
    def __init__(self, lease: _Optional[_Union[Lease, _Mapping]] = ..., total_bytes: _Optional[int] = ...) -> None: ...

class HoldModel(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class HoldLora(_message.Message):
    __slots__ = ("path",)
    PATH_FIELD_NUMBER: _ClassVar[int]
    path: str
    def __init__(self, path: _Optional[str] = ...) -> None: ...

class Canary(_message.Message):
    __slots__ = ("scratch_path",)
    SCRATCH_PATH_FIELD_NUMBER: _ClassVar[int]
    scratch_path: str
    def __init__(self, scratch_path: _Optional[str] = ...) -> None: ...

class FromWorker(_message.Message):
    __slots__ = ("ready", "beat", "settled", "progress", "preview", "block", "need_room", "ended", "canary", "resident", "sound", "noted", "live_block", "steered", "retried")
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
    SOUND_FIELD_NUMBER: _ClassVar[int]
    NOTED_FIELD_NUMBER: _ClassVar[int]
    LIVE_BLOCK_FIELD_NUMBER: _ClassVar[int]
    STEERED_FIELD_NUMBER: _ClassVar[int]
    RETRIED_FIELD_NUMBER: _ClassVar[int]
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
    sound: SoundWritten
    noted: Noted
    live_block: LiveBlock
    steered: LiveSteered
    retried: LiveRetried
    def __init__(self, ready: _Optional[_Union[Ready, _Mapping]] = ..., beat: _Optional[_Union[Beat, _Mapping]] = ..., settled: _Optional[_Union[Settled, _Mapping]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., preview: _Optional[_Union[PreviewMade, _Mapping]] = ..., block: _Optional[_Union[BlockWritten, _Mapping]] = ..., need_room: _Optional[_Union[NeedRoom, _Mapping]] = ..., ended: _Optional[_Union[Ended, _Mapping]] = ..., canary: _Optional[_Union[CanaryDone, _Mapping]] = ..., resident: _Optional[_Union[Resident, _Mapping]] = ..., sound: _Optional[_Union[SoundWritten, _Mapping]] = ..., noted: _Optional[_Union[Noted, _Mapping]] = ..., live_block: _Optional[_Union[LiveBlock, _Mapping]] = ..., steered: _Optional[_Union[LiveSteered, _Mapping]] = ..., retried: _Optional[_Union[LiveRetried, _Mapping]] = ...) -> None: ...

class Ready(_message.Message):
    __slots__ = ("device",)
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    device: str
    def __init__(self, device: _Optional[str] = ...) -> None: ...

class Beat(_message.Message):
    __slots__ = ("patient", "memory_bytes", "device_memory")
    class DeviceMemoryEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    PATIENT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    DEVICE_MEMORY_FIELD_NUMBER: _ClassVar[int]
    patient: bool
    memory_bytes: int
    device_memory: _containers.ScalarMap[str, int]
    def __init__(self, patient: _Optional[bool] = ..., memory_bytes: _Optional[int] = ..., device_memory: _Optional[_Mapping[str, int]] = ...) -> None: ...

class Settled(_message.Message):
    __slots__ = ("lease", "format", "seed")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    format: _frames_pb2.VideoFormat
    seed: int
    def __init__(self, lease: _Optional[_Union[Lease, _Mapping]] = ..., format: _Optional[_Union[_frames_pb2.VideoFormat, _Mapping]] = ..., seed: _Optional[int] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("lease", "stage", "started")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    stage: _job_pb2.StageProgress
    started: bool
    def __init__(self, lease: _Optional[_Union[Lease, _Mapping]] = ..., stage: _Optional[_Union[_job_pb2.StageProgress, _Mapping]] = ..., started: _Optional[bool] = ...) -> None: ...

class PreviewMade(_message.Message):
    __slots__ = ("lease", "pictures")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    PICTURES_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    pictures: _containers.RepeatedCompositeFieldContainer[_frames_pb2.Preview]
    def __init__(self, lease: _Optional[_Union[Lease, _Mapping]] = ..., pictures: _Optional[_Iterable[_Union[_frames_pb2.Preview, _Mapping]]] = ...) -> None: ...

class BlockWritten(_message.Message):
    __slots__ = ("lease", "first_frame", "frame_count", "offset_bytes", "width", "height", "crc32c")
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
    def __init__(self, lease: _Optional[_Union[Lease, _Mapping]] = ..., first_frame: _Optional[int] = ..., frame_count: _Optional[int] = ..., offset_bytes: _Optional[int] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., crc32c: _Optional[_Iterable[int]] = ...) -> None: ...

class SoundWritten(_message.Message):
    __slots__ = ("lease", "size_bytes")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    size_bytes: int
    def __init__(self, lease: _Optional[_Union[Lease, _Mapping]] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class LiveBlock(_message.Message):
    __slots__ = ("lease", "block", "path", "first_frame", "frame_count", "crc32c", "used_samples")
    class UsedSamplesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    LEASE_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    FIRST_FRAME_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    CRC32C_FIELD_NUMBER: _ClassVar[int]
    USED_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    block: int
    path: str
    first_frame: int
    frame_count: int
    crc32c: _containers.RepeatedScalarFieldContainer[int]
    used_samples: _containers.ScalarMap[str, int]
    def __init__(self, lease: _Optional[_Union[Lease, _Mapping]] = ..., block: _Optional[int] = ..., path: _Optional[str] = ..., first_frame: _Optional[int] = ..., frame_count: _Optional[int] = ..., crc32c: _Optional[_Iterable[int]] = ..., used_samples: _Optional[_Mapping[str, int]] = ...) -> None: ...

class LiveSteered(_message.Message):
    __slots__ = ("lease", "id", "block", "error")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    id: str
    block: int
    error: _status_pb2.Status
    def __init__(self, lease: _Optional[_Union[Lease, _Mapping]] = ..., id: _Optional[str] = ..., block: _Optional[int] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class LiveRetried(_message.Message):
    __slots__ = ("lease", "block", "reason")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    block: int
    reason: str
    def __init__(self, lease: _Optional[_Union[Lease, _Mapping]] = ..., block: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class NeedRoom(_message.Message):
    __slots__ = ("lease", "total_bytes")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    total_bytes: int
    def __init__(self, lease: _Optional[_Union[Lease, _Mapping]] = ..., total_bytes: _Optional[int] = ...) -> None: ...

class Ended(_message.Message):
    __slots__ = ("lease", "how", "error", "first_frame_s", "stage_seconds", "spent")
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
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
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
    def __init__(self, lease: _Optional[_Union[Lease, _Mapping]] = ..., how: _Optional[_Union[Ended.How, str]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ..., first_frame_s: _Optional[float] = ..., stage_seconds: _Optional[_Mapping[str, float]] = ..., spent: _Optional[bool] = ...) -> None: ...

class CanaryDone(_message.Message):
    __slots__ = ("good",)
    GOOD_FIELD_NUMBER: _ClassVar[int]
    good: bool
    def __init__(self, good: _Optional[bool] = ...) -> None: ...

class Resident(_message.Message):
    __slots__ = ("models", "loras")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    LORAS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedScalarFieldContainer[str]
    loras: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, models: _Optional[_Iterable[str]] = ..., loras: _Optional[_Iterable[str]] = ...) -> None: ...

class Noted(_message.Message):
    __slots__ = ("lease", "text")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    text: str
    def __init__(self, lease: _Optional[_Union[Lease, _Mapping]] = ..., text: _Optional[str] = ...) -> None: ...

class EncodeBlock(_message.Message):
    __slots__ = ("task", "encoding", "spool_path", "offset_bytes", "first_frame", "frame_count", "width", "height", "frame_rate", "track_path", "track_bytes", "fragment", "sound_path", "comment", "init")
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
    SOUND_PATH_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    INIT_FIELD_NUMBER: _ClassVar[int]
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
    sound_path: str
    comment: str
    init: bool
    def __init__(self, task: _Optional[int] = ..., encoding: _Optional[_Union[_frames_pb2.Encoding, str]] = ..., spool_path: _Optional[str] = ..., offset_bytes: _Optional[int] = ..., first_frame: _Optional[int] = ..., frame_count: _Optional[int] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., frame_rate: _Optional[_Union[_frames_pb2.FrameRate, _Mapping]] = ..., track_path: _Optional[str] = ..., track_bytes: _Optional[int] = ..., fragment: _Optional[int] = ..., sound_path: _Optional[str] = ..., comment: _Optional[str] = ..., init: _Optional[bool] = ...) -> None: ...

class BlockEncoded(_message.Message):
    __slots__ = ("task", "problem", "pieces", "seconds")
    TASK_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    PIECES_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    task: int
    problem: str
    pieces: _containers.RepeatedCompositeFieldContainer[TrackPiece]
    seconds: float
    def __init__(self, task: _Optional[int] = ..., problem: _Optional[str] = ..., pieces: _Optional[_Iterable[_Union[TrackPiece, _Mapping]]] = ..., seconds: _Optional[float] = ...) -> None: ...

class TrackPiece(_message.Message):
    __slots__ = ("first_frame", "frame_count", "offset_bytes", "size_bytes", "crc32c", "codec")
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
    def __init__(self, first_frame: _Optional[int] = ..., frame_count: _Optional[int] = ..., offset_bytes: _Optional[int] = ..., size_bytes: _Optional[int] = ..., crc32c: _Optional[int] = ..., codec: _Optional[str] = ...) -> None: ...

class ProbeReport(_message.Message):
    __slots__ = ("pid", "importing", "catalog")
    PID_FIELD_NUMBER: _ClassVar[int]
    IMPORTING_FIELD_NUMBER: _ClassVar[int]
    CATALOG_FIELD_NUMBER: _ClassVar[int]
    pid: int
    importing: str
    catalog: Catalog
    def __init__(self, pid: _Optional[int] = ..., importing: _Optional[str] = ..., catalog: _Optional[_Union[Catalog, _Mapping]] = ...) -> None: ...

class Catalog(_message.Message):
    __slots__ = ("families", "plugins", "solvers", "methods", "models", "loras", "loras_folder", "without_rules")
    FAMILIES_FIELD_NUMBER: _ClassVar[int]
    PLUGINS_FIELD_NUMBER: _ClassVar[int]
    SOLVERS_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    LORAS_FIELD_NUMBER: _ClassVar[int]
    LORAS_FOLDER_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_RULES_FIELD_NUMBER: _ClassVar[int]
    families: _containers.RepeatedCompositeFieldContainer[_catalog_service_pb2.Family]
    plugins: _containers.RepeatedCompositeFieldContainer[_catalog_service_pb2.Plugin]
    solvers: _containers.RepeatedScalarFieldContainer[str]
    methods: _containers.RepeatedCompositeFieldContainer[_catalog_service_pb2.Method]
    models: _containers.RepeatedCompositeFieldContainer[ModelFile]
    loras: _containers.RepeatedCompositeFieldContainer[LoraFile]
    loras_folder: str
    without_rules: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, families: _Optional[_Iterable[_Union[_catalog_service_pb2.Family, _Mapping]]] = ..., plugins: _Optional[_Iterable[_Union[_catalog_service_pb2.Plugin, _Mapping]]] = ..., solvers: _Optional[_Iterable[str]] = ..., methods: _Optional[_Iterable[_Union[_catalog_service_pb2.Method, _Mapping]]] = ..., models: _Optional[_Iterable[_Union[ModelFile, _Mapping]]] = ..., loras: _Optional[_Iterable[_Union[LoraFile, _Mapping]]] = ..., loras_folder: _Optional[str] = ..., without_rules: _Optional[_Iterable[str]] = ...) -> None: ...

class CheckRequest(_message.Message):
    __slots__ = ("number", "request")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    number: int
    request: str
    def __init__(self, number: _Optional[int] = ..., request: _Optional[str] = ...) -> None: ...

class CheckReply(_message.Message):
    __slots__ = ("number", "pid", "problems", "error", "raised", "format", "importing")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    RAISED_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    IMPORTING_FIELD_NUMBER: _ClassVar[int]
    number: int
    pid: int
    problems: _containers.RepeatedCompositeFieldContainer[Problem]
    error: _status_pb2.Status
    raised: str
    format: _frames_pb2.VideoFormat
    importing: bool
    def __init__(self, number: _Optional[int] = ..., pid: _Optional[int] = ..., problems: _Optional[_Iterable[_Union[Problem, _Mapping]]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ..., raised: _Optional[str] = ..., format: _Optional[_Union[_frames_pb2.VideoFormat, _Mapping]] = ..., importing: _Optional[bool] = ...) -> None: ...

class Problem(_message.Message):
    __slots__ = ("field", "problem")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    field: str
    problem: str
    def __init__(self, field: _Optional[str] = ..., problem: _Optional[str] = ...) -> None: ...

class ModelFile(_message.Message):
    __slots__ = ("model", "engine_name", "embedded_for")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ENGINE_NAME_FIELD_NUMBER: _ClassVar[int]
    EMBEDDED_FOR_FIELD_NUMBER: _ClassVar[int]
    model: _catalog_service_pb2.Model
    engine_name: str
    embedded_for: str
    def __init__(self, model: _Optional[_Union[_catalog_service_pb2.Model, _Mapping]] = ..., engine_name: _Optional[str] = ..., embedded_for: _Optional[str] = ...) -> None: ...

class LoraFile(_message.Message):
    __slots__ = ("lora", "path")
    LORA_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    lora: _catalog_service_pb2.Lora
    path: str
    def __init__(self, lora: _Optional[_Union[_catalog_service_pb2.Lora, _Mapping]] = ..., path: _Optional[str] = ...) -> None: ...

class Decoded(_message.Message):
    __slots__ = ("problem", "kind", "width", "height", "frame_count")
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
    def __init__(self, problem: _Optional[str] = ..., kind: _Optional[int] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., frame_count: _Optional[int] = ...) -> None: ...
