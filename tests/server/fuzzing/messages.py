"""Random requests, made from the descriptors of the API."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from hypothesis import strategies as st
from wancore_proto.v1 import (
    admin_service_pb2,
    asset_service_pb2,
    catalog_service_pb2,
    job_service_pb2,
)

MODULES = (job_service_pb2, asset_service_pb2, catalog_service_pb2, admin_service_pb2)
METHODS: tuple[MethodDescriptor, ...] = tuple(
    method
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
)
MAX_DEPTH = 4
F = FieldDescriptor
WHOLE = {
    F.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    F.CPPTYPE_UINT32: (0, 2**32 - 1),
    F.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    F.CPPTYPE_UINT64: (0, 2**64 - 1),
    F.CPPTYPE_ENUM: (-(2**31), 2**31 - 1),
}
SMALL = st.integers(0, 100)
TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.sampled_from(["", "\0", "../../etc/passwd", "%s%n", "\u202e", "ﬀ", "\U0001f600" * 30, "x" * 5000]),
)
#: Texts by the name of a field, so that many requests come past its first check.
Pools = Mapping[str, Sequence[str]]


def of_method(method: MethodDescriptor, pools: Pools) -> st.SearchStrategy[Message]:
    """Requests of a method."""
    return of_descriptor(method.input_type, pools)


@st.composite
def of_descriptor(draw: st.DrawFn, descriptor: Descriptor, pools: Pools, depth: int = 0) -> Any:
    """A message with a random choice of its fields."""
    if descriptor.full_name == "google.protobuf.Struct":
        return draw(structs())
    made = message_factory.GetMessageClass(descriptor)()
    fields = list(descriptor.fields)
    chosen = draw(st.sets(st.sampled_from(fields), max_size=6)) if fields else set()
    for field in sorted(chosen, key=lambda f: f.number):
        if field.message_type is not None and depth >= MAX_DEPTH:
            continue
        fill(draw, made, field, pools, depth)
    return made


def fill(draw: st.DrawFn, made: Message, field: FieldDescriptor, pools: Pools, depth: int) -> None:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        if value.message_type is None:
            pairs = st.dictionaries(scalars(key, pools), scalars(value, pools, field.name), max_size=3)
            getattr(made, field.name).update(draw(pairs))
        return
    one = (
        scalars(field, pools)
        if field.message_type is None
        else of_descriptor(field.message_type, pools, depth + 1)
    )
    if field.is_repeated:
        getattr(made, field.name).extend(draw(st.lists(one, max_size=4)))
    elif field.message_type is None:
        setattr(made, field.name, draw(one))
    else:
        getattr(made, field.name).CopyFrom(draw(one))


def scalars(field: FieldDescriptor, pools: Pools, name: str = "") -> st.SearchStrategy[Any]:
    """Values of a field: small ones, its extremes, and those of its pool."""
    if field.cpp_type in WHOLE:
        low, high = WHOLE[field.cpp_type]
        if field.enum_type is not None:
            known = [value.number for value in field.enum_type.values]
            return st.one_of(st.sampled_from(known), st.integers(low, high))
        return st.one_of(SMALL, st.sampled_from([low, high]), st.integers(low, high))
    if field.cpp_type in (F.CPPTYPE_DOUBLE, F.CPPTYPE_FLOAT):
        return st.floats(width=64 if field.cpp_type == F.CPPTYPE_DOUBLE else 32)
    if field.cpp_type == F.CPPTYPE_BOOL:
        return st.booleans()
    if field.type == F.TYPE_BYTES:
        return st.binary(max_size=200)
    pool = pools.get(name or field.name, ())
    return st.one_of(st.sampled_from(pool), TEXT) if pool else TEXT


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), SMALL.map(float), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=12,
)


@st.composite
def structs(draw: st.DrawFn) -> Struct:
    made = Struct()
    made.update(draw(st.dictionaries(TEXT, VALUES, max_size=4)))
    return made


def varint(number: int) -> bytes:
    data = bytearray()
    while number > 127:
        data.append(number & 127 | 128)
        number >>= 7
    return bytes([*data, number])


def field_bytes(number: int, kind: int, content: bytes) -> bytes:
    """One field on the wire. Kinds: 0 varint, 1 eight bytes, 2 with its length, 5 four bytes."""
    return varint(number << 3 | kind) + (varint(len(content)) if kind == 2 else b"") + content


@st.composite
def unknown_fields(draw: st.DrawFn) -> bytes:
    """Well-formed fields that no message of the API has."""
    number = draw(st.integers(1000, 2**29 - 1).filter(lambda n: not 19_000 <= n < 20_000))
    kind = draw(st.sampled_from([0, 1, 2, 5]))
    content = {
        0: st.integers(0, 2**64 - 1).map(varint),
        1: st.binary(min_size=8, max_size=8),
        2: st.one_of(st.binary(max_size=100), st.integers(1, 20_000).map(bytes)),
        5: st.binary(min_size=4, max_size=4),
    }[kind]
    return field_bytes(number, kind, draw(content))


@st.composite
def mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """`data` with bytes changed, cut out or put in."""
    result = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(result)))
        how = draw(st.sampled_from(["change", "cut", "insert", "double"]))
        if how == "change" and at < len(result):
            result[at] = draw(st.integers(0, 255))
        elif how == "cut":
            del result[at : at + draw(st.integers(1, 8))]
        elif how == "insert":
            result[at:at] = draw(st.binary(min_size=1, max_size=8))
        else:
            result[at:at] = result[max(0, at - 8) : at]
    return bytes(result)


def nested_struct(depth: int) -> bytes:
    """A `Struct` that holds itself `depth` times, on the wire: deeper than the library would build it."""
    inner = b""
    for _ in range(depth):
        value = field_bytes(5, 2, inner)  # Value.struct_value
        entry = field_bytes(1, 2, b"k") + field_bytes(2, 2, value)
        inner = field_bytes(1, 2, entry)  # Struct.fields
    return inner


def representable(value: Any) -> bool:
    """Whether a JSON value comes through a Struct as it is: finite, and whole numbers that a double holds."""
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, int):
        return abs(value) < 2**53
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return not any(0xD800 <= ord(c) < 0xE000 for c in value)
    parts = [*value, *value.values()] if isinstance(value, dict) else value
    return all(representable(part) for part in parts)
