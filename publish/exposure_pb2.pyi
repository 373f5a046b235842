from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KIND_UNKNOWN: _ClassVar[Kind]
    LIST: _ClassVar[Kind]
    FALLBACK: _ClassVar[Kind]
    CONTROL: _ClassVar[Kind]
    NONE: _ClassVar[Kind]

class Arm(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ARM_UNKNOWN: _ClassVar[Arm]
    TREATMENT_ARM: _ClassVar[Arm]
    CONTROL_ARM: _ClassVar[Arm]
KIND_UNKNOWN: Kind
LIST: Kind
FALLBACK: Kind
CONTROL: Kind
NONE: Kind
ARM_UNKNOWN: Arm
TREATMENT_ARM: Arm
CONTROL_ARM: Arm

class Exposure(_message.Message):
    __slots__ = ("user_id", "ts", "surface", "kind", "arm", "share_bp", "run", "source_ids", "source_names", "writer", "seq")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    TS_FIELD_NUMBER: _ClassVar[int]
    SURFACE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    SHARE_BP_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    SOURCE_IDS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_NAMES_FIELD_NUMBER: _ClassVar[int]
    WRITER_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    ts: int
    surface: str
    kind: Kind
    arm: Arm
    share_bp: int
    run: str
    source_ids: _containers.RepeatedScalarFieldContainer[int]
    source_names: _containers.RepeatedScalarFieldContainer[str]
    writer: int
    seq: int
    def __init__(self, user_id: _Optional[str] = ..., ts: _Optional[int] = ..., surface: _Optional[str] = ..., kind: _Optional[_Union[Kind, str]] = ..., arm: _Optional[_Union[Arm, str]] = ..., share_bp: _Optional[int] = ..., run: _Optional[str] = ..., source_ids: _Optional[_Iterable[int]] = ..., source_names: _Optional[_Iterable[str]] = ..., writer: _Optional[int] = ..., seq: _Optional[int] = ...) -> None: ...

class Writer(_message.Message):
    __slots__ = ("writer", "ts", "logged", "dropped", "queue", "closed")
    class DroppedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    WRITER_FIELD_NUMBER: _ClassVar[int]
    TS_FIELD_NUMBER: _ClassVar[int]
    LOGGED_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    writer: int
    ts: int
    logged: int
    dropped: _containers.ScalarMap[str, int]
    queue: int
    closed: bool
    def __init__(self, writer: _Optional[int] = ..., ts: _Optional[int] = ..., logged: _Optional[int] = ..., dropped: _Optional[_Mapping[str, int]] = ..., queue: _Optional[int] = ..., closed: _Optional[bool] = ...) -> None: ...
