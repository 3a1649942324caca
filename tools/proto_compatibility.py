"""Whether one version of the API can be talked to by programs made for another.

v1 only grows: nothing is removed, renamed, renumbered or changed in type; a field that goes is
reserved by number and name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)


def breaks(old: FileDescriptorSet, new: FileDescriptorSet) -> list[str]:
    """What a program made for `old` would trip over in `new`; empty where nothing."""
    return [
        *compare(messages(old), messages(new), message_breaks),
        *compare(enums(old), enums(new), enum_breaks),
        *compare(services(old), services(new), service_breaks),
    ]


def compare(old: Mapping[str, object], new: Mapping[str, object], check: object) -> Iterator[str]:
    for name, before in old.items():
        if name not in new:
            yield f"{name} was removed"
        else:
            yield from check(name, before, new[name])  # type: ignore[operator]


def messages(files: FileDescriptorSet) -> dict[str, DescriptorProto]:
    found: dict[str, DescriptorProto] = {}

    def walk(prefix: str, message: DescriptorProto) -> None:
        found[f"{prefix}.{message.name}"] = message
        for nested in message.nested_type:
            walk(f"{prefix}.{message.name}", nested)

    for file in files.file:
        for message in file.message_type:
            walk(file.package, message)
    return found


def enums(files: FileDescriptorSet) -> dict[str, EnumDescriptorProto]:
    found = {f"{file.package}.{enum.name}": enum for file in files.file for enum in file.enum_type}
    for name, message in messages(files).items():
        found |= {f"{name}.{enum.name}": enum for enum in message.enum_type}
    return found


def services(files: FileDescriptorSet) -> dict[str, ServiceDescriptorProto]:
    return {f"{file.package}.{s.name}": s for file in files.file for s in file.service}


def message_breaks(name: str, old: DescriptorProto, new: DescriptorProto) -> Iterator[str]:
    kept = {field.number: field for field in new.field}
    for field in old.field:
        if field.number in kept:
            yield from field_breaks(f"{name}.{field.name}", field, kept[field.number], old, new)
        elif not (is_reserved(new, field.number) and field.name in new.reserved_name):
            yield f"{name}.{field.name} was removed without reserving {field.number} and the name"
    for field in new.field:
        # A number without a name is kept free for what is to come; a name says that it was in use.
        if field.name in old.reserved_name:
            yield f"{name}.{field.name} uses a name that was given up"


def is_reserved(message: DescriptorProto, number: int) -> bool:
    return any(span.start <= number < span.end for span in message.reserved_range)


def field_breaks(
    name: str,
    old: FieldDescriptorProto,
    new: FieldDescriptorProto,
    in_old: DescriptorProto,
    in_new: DescriptorProto,
) -> Iterator[str]:
    for what in ("name", "type", "type_name", "label", "proto3_optional"):
        if getattr(old, what) != getattr(new, what):
            yield f"{name}: {what} was {getattr(old, what)!r}, is {getattr(new, what)!r}"
    if oneof(old, in_old) != oneof(new, in_new):
        yield f"{name}: moved to another oneof"


def oneof(field: FieldDescriptorProto, message: DescriptorProto) -> str:
    return message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else ""


def enum_breaks(name: str, old: EnumDescriptorProto, new: EnumDescriptorProto) -> Iterator[str]:
    kept = {value.number: value.name for value in new.value}
    for value in old.value:
        if kept.get(value.number) != value.name:
            what = "renamed" if value.number in kept else "removed"
            yield f"{name}.{value.name} = {value.number} was {what}"


def service_breaks(name: str, old: ServiceDescriptorProto, new: ServiceDescriptorProto) -> Iterator[str]:
    kept = {method.name: method for method in new.method}
    for method in old.method:
        if method.name not in kept:
            yield f"{name}/{method.name} was removed"
            continue
        for what in ("input_type", "output_type", "client_streaming", "server_streaming"):
            if getattr(method, what) != getattr(kept[method.name], what):
                yield f"{name}/{method.name}: {what} changed"
