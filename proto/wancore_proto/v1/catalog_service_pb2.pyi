from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ServerInfo(_message.Message):
    __slots__ = ("version", "api_versions", "capabilities", "solvers", "methods", "limits")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    API_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    SOLVERS_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    version: str
    api_versions: _containers.RepeatedScalarFieldContainer[str]
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    solvers: _containers.RepeatedScalarFieldContainer[str]
    methods: _containers.RepeatedCompositeFieldContainer[Method]
    limits: Limits
    def __init__(self, version: _Optional[str] = ..., api_versions: _Optional[_Iterable[str]] = ..., capabilities: _Optional[_Iterable[str]] = ..., solvers: _Optional[_Iterable[str]] = ..., methods: _Optional[_Iterable[_Union[Method, _Mapping]]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ...) -> None: ...

class Method(_message.Message):
    __slots__ = ("name", "description", "parameter_schema")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    PARAMETER_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    parameter_schema: str
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., parameter_schema: _Optional[str] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("message_bytes", "asset_bytes", "image_pixels", "video_frames", "prompt_bytes", "parameter_bytes", "parameter_depth", "connection_streams")
    MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    ASSET_BYTES_FIELD_NUMBER: _ClassVar[int]
    IMAGE_PIXELS_FIELD_NUMBER: _ClassVar[int]
    VIDEO_FRAMES_FIELD_NUMBER: _ClassVar[int]
    PROMPT_BYTES_FIELD_NUMBER: _ClassVar[int]
    PARAMETER_BYTES_FIELD_NUMBER: _ClassVar[int]
    PARAMETER_DEPTH_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_STREAMS_FIELD_NUMBER: _ClassVar[int]
    message_bytes: int
    asset_bytes: int
    image_pixels: int
    video_frames: int
    prompt_bytes: int
    parameter_bytes: int
    parameter_depth: int
    connection_streams: int
    def __init__(self, message_bytes: _Optional[int] = ..., asset_bytes: _Optional[int] = ..., image_pixels: _Optional[int] = ..., video_frames: _Optional[int] = ..., prompt_bytes: _Optional[int] = ..., parameter_bytes: _Optional[int] = ..., parameter_depth: _Optional[int] = ..., connection_streams: _Optional[int] = ...) -> None: ...

class ListFamiliesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListFamiliesResponse(_message.Message):
    __slots__ = ("families", "next_page_token")
    FAMILIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    families: _containers.RepeatedCompositeFieldContainer[Family]
    next_page_token: str
    def __init__(self, families: _Optional[_Iterable[_Union[Family, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetFamilyRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class Family(_message.Message):
    __slots__ = ("name", "display_name", "description", "roles", "inputs", "parameter_schema", "schema_hash", "plugin", "plugin_version")
    class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ROLE_UNSPECIFIED: _ClassVar[Family.Role]
        ROLE_LEAD: _ClassVar[Family.Role]
        ROLE_ATTACHMENT: _ClassVar[Family.Role]
    ROLE_UNSPECIFIED: Family.Role
    ROLE_LEAD: Family.Role
    ROLE_ATTACHMENT: Family.Role
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    PARAMETER_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_HASH_FIELD_NUMBER: _ClassVar[int]
    PLUGIN_FIELD_NUMBER: _ClassVar[int]
    PLUGIN_VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    description: str
    roles: _containers.RepeatedScalarFieldContainer[Family.Role]
    inputs: _containers.RepeatedCompositeFieldContainer[InputDeclaration]
    parameter_schema: str
    schema_hash: str
    plugin: str
    plugin_version: str
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., description: _Optional[str] = ..., roles: _Optional[_Iterable[_Union[Family.Role, str]]] = ..., inputs: _Optional[_Iterable[_Union[InputDeclaration, _Mapping]]] = ..., parameter_schema: _Optional[str] = ..., schema_hash: _Optional[str] = ..., plugin: _Optional[str] = ..., plugin_version: _Optional[str] = ...) -> None: ...

class InputDeclaration(_message.Message):
    __slots__ = ("role", "type", "description", "required", "many", "type_name", "live")
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TYPE_UNSPECIFIED: _ClassVar[InputDeclaration.Type]
        TYPE_IMAGE: _ClassVar[InputDeclaration.Type]
        TYPE_VIDEO: _ClassVar[InputDeclaration.Type]
        TYPE_MASK: _ClassVar[InputDeclaration.Type]
        TYPE_CAMERA_PATH: _ClassVar[InputDeclaration.Type]
        TYPE_TRACKS: _ClassVar[InputDeclaration.Type]
        TYPE_BOXES: _ClassVar[InputDeclaration.Type]
        TYPE_AUDIO: _ClassVar[InputDeclaration.Type]
        TYPE_OTHER: _ClassVar[InputDeclaration.Type]
    TYPE_UNSPECIFIED: InputDeclaration.Type
    TYPE_IMAGE: InputDeclaration.Type
    TYPE_VIDEO: InputDeclaration.Type
    TYPE_MASK: InputDeclaration.Type
    TYPE_CAMERA_PATH: InputDeclaration.Type
    TYPE_TRACKS: InputDeclaration.Type
    TYPE_BOXES: InputDeclaration.Type
    TYPE_AUDIO: InputDeclaration.Type
    TYPE_OTHER: InputDeclaration.Type
    ROLE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    MANY_FIELD_NUMBER: _ClassVar[int]
    TYPE_NAME_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    role: str
    type: InputDeclaration.Type
    description: str
    required: bool
    many: bool
    type_name: str
    live: bool
    def __init__(self, role: _Optional[str] = ..., type: _Optional[_Union[InputDeclaration.Type, str]] = ..., description: _Optional[str] = ..., required: _Optional[bool] = ..., many: _Optional[bool] = ..., type_name: _Optional[str] = ..., live: _Optional[bool] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models", "next_page_token")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    next_page_token: str
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "display_name", "default_model", "resident_on", "serving", "family")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_MODEL_FIELD_NUMBER: _ClassVar[int]
    RESIDENT_ON_FIELD_NUMBER: _ClassVar[int]
    SERVING_FIELD_NUMBER: _ClassVar[int]
    FAMILY_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    default_model: bool
    resident_on: _containers.RepeatedScalarFieldContainer[str]
    serving: bool
    family: str
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., default_model: _Optional[bool] = ..., resident_on: _Optional[_Iterable[str]] = ..., serving: _Optional[bool] = ..., family: _Optional[str] = ...) -> None: ...

class ListLorasRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListLorasResponse(_message.Message):
    __slots__ = ("loras", "next_page_token")
    LORAS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    loras: _containers.RepeatedCompositeFieldContainer[Lora]
    next_page_token: str
    def __init__(self, loras: _Optional[_Iterable[_Union[Lora, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Lora(_message.Message):
    __slots__ = ("name", "display_name", "description", "size_bytes", "problem", "resident_on")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    RESIDENT_ON_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    description: str
    size_bytes: int
    problem: str
    resident_on: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., description: _Optional[str] = ..., size_bytes: _Optional[int] = ..., problem: _Optional[str] = ..., resident_on: _Optional[_Iterable[str]] = ...) -> None: ...

class ListPluginsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListPluginsResponse(_message.Message):
    __slots__ = ("plugins", "next_page_token")
    PLUGINS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    plugins: _containers.RepeatedCompositeFieldContainer[Plugin]
    next_page_token: str
    def __init__(self, plugins: _Optional[_Iterable[_Union[Plugin, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Plugin(_message.Message):
    __slots__ = ("name", "entry_point", "version", "state", "problem", "record_hash")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Plugin.State]
        STATE_LOADED: _ClassVar[Plugin.State]
        STATE_DISABLED: _ClassVar[Plugin.State]
        STATE_INCOMPATIBLE: _ClassVar[Plugin.State]
        STATE_BROKEN: _ClassVar[Plugin.State]
    STATE_UNSPECIFIED: Plugin.State
    STATE_LOADED: Plugin.State
    STATE_DISABLED: Plugin.State
    STATE_INCOMPATIBLE: Plugin.State
    STATE_BROKEN: Plugin.State
    NAME_FIELD_NUMBER: _ClassVar[int]
    ENTRY_POINT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    RECORD_HASH_FIELD_NUMBER: _ClassVar[int]
    name: str
    entry_point: str
    version: str
    state: Plugin.State
    problem: str
    record_hash: str
    def __init__(self, name: _Optional[str] = ..., entry_point: _Optional[str] = ..., version: _Optional[str] = ..., state: _Optional[_Union[Plugin.State, str]] = ..., problem: _Optional[str] = ..., record_hash: _Optional[str] = ...) -> None: ...
