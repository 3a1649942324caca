"""Reading the header of a safetensors file, without torch and without trusting it.

Format: 8 bytes little-endian header length, that many bytes of JSON, then the tensors' bytes.
https://huggingface.co/docs/safetensors/index#format
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from wancore.errors import shown

MAX_HEADER_BYTES = 100_000_000  # the format's own limit
MAX_ELEMENTS = 2**63 - 1  # what a size or an index can hold
METADATA = "__metadata__"
#: Metadata come first, as the format's own library writes them; then a comma, and a name.
METADATA_FIRST = re.compile(rf'{{\s*"{METADATA}"\s*:\s*')
COMMA = re.compile(r'\s*,\s*(?=")')
#: Files of one architecture differ in their metadata only: so many headers are kept as they were read.
KEPT, MAX_KEPT_BYTES = 256, 1_000_000

BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F4": 4,
    "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64, "C64": 64,
}  # fmt: skip


class HeaderError(ValueError):
    """The file is not a well-formed safetensors file; the text says how."""


class Entry(NamedTuple):
    """One tensor of a file: `dtype` in the format's own spelling, byte range within the data part."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Header:
    """`data_offset` is where the data part begins in the file."""

    tensors: Mapping[str, Entry]
    metadata: Mapping[str, str]
    data_offset: int


def read_header(path: Path) -> Header:
    """Reads and checks the header of `path`. Reads no data. Raises `HeaderError`."""
    try:
        if not path.is_file():
            raise HeaderError("not a file")
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            raw = file.read(header_length(file.read(8), size))
    except OSError as error:
        raise HeaderError(f"cannot be read: {error.strerror}") from error
    return parse(raw, data_offset=8 + len(raw), data_size=size - 8 - len(raw))


def header_length(length_bytes: bytes, size: int) -> int:
    """The header's length in a file of `size` bytes that begins with `length_bytes`."""
    if len(length_bytes) < 8:
        raise HeaderError("not a safetensors file: shorter than its header length")
    (length,) = struct.unpack("<Q", length_bytes)
    if length > MAX_HEADER_BYTES or 8 + length > size:
        raise HeaderError(f"not a safetensors file, or truncated: header of {length} bytes in {size}")
    return int(length)


def parse(raw: bytes, data_offset: int, data_size: int) -> Header:
    """The header in `raw`, checked against a data part of `data_size` bytes. Raises `HeaderError`."""
    if raw[:1] != b"{":
        raise HeaderError("not a safetensors file: its header does not begin with '{'")
    try:
        first, rest = split(raw.decode("utf-8"))
        read = tensors_in if len(rest) <= MAX_KEPT_BYTES else tensors_in.__wrapped__
        tensors, later = read(rest, data_size)
    except HeaderError:
        raise
    except (ValueError, RecursionError) as error:
        raise HeaderError(f"not a safetensors file: header is not JSON ({error})") from error
    metadata, *twice = [*first, *later] or [{}]
    if twice:
        raise HeaderError("not a safetensors file: header is not JSON (a name occurs twice)")
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise HeaderError(f"{METADATA} is not a mapping of strings")
    return Header(tensors, metadata, data_offset)


def split(text: str) -> tuple[list[object], str]:
    """The metadata, where the header begins with them, and the rest of it as an object of its own."""
    begin = METADATA_FIRST.match(text)
    if begin is None:
        return [], text
    metadata, end = DECODER.raw_decode(text, begin.end())
    comma = COMMA.match(text, end)
    # Spaces at the end align the data, so that they depend on the metadata.
    return ([metadata], "{" + text[comma.end() :].rstrip(" ")) if comma else ([], text)


@lru_cache(KEPT)
def tensors_in(text: str, data_size: int) -> tuple[Mapping[str, Entry], list[object]]:
    """The checked tensors of a header, or of what follows its metadata; and metadata in it, one or none."""
    document = DECODER.decode(text)
    metadata = [document.pop(METADATA)] if METADATA in document else []
    tensors = {name: entry(name, value, data_size) for name, value in document.items()}
    check_layout(tensors, data_size)
    return tensors, metadata


def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name occurs twice")
    return result


DECODER = json.JSONDecoder(object_pairs_hook=no_duplicates)


def entry(name: str, value: object, data_size: int) -> Entry:
    """The entry `value` describes. Raises `HeaderError` naming the key."""
    if not name.isascii() and any("\ud800" <= c <= "\udfff" for c in name):
        raise HeaderError(f"key {shown(name)}: is not valid Unicode")
    match value:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [start, end]}:
            pass
        case _:
            raise HeaderError(f"key {shown(name)}: malformed entry")
    for number in (*shape, start, end):
        if type(number) is not int or number < 0:
            raise HeaderError(f"key {shown(name)}: malformed entry")
    if dtype not in BITS:
        raise HeaderError(f"key {shown(name)}: unknown dtype {shown(dtype)}")
    elements = math.prod(shape)
    if elements > MAX_ELEMENTS or (elements == 0 and math.prod(n for n in shape if n) > MAX_ELEMENTS):
        raise HeaderError(f"key {shown(name)}: impossible shape {shown(shape)}")
    bits = elements * BITS[dtype]
    if start > end or bits % 8 or end - start != bits // 8:
        raise HeaderError(f"key {shown(name)}: {end - start} bytes do not hold {dtype}{shown(shape)}")
    if end > data_size:
        problem = f"truncated file, {end} bytes of data needed and {data_size} there"
        raise HeaderError(f"key {shown(name)}: {problem}")
    return Entry(dtype, tuple(shape), start, end)


def check_layout(tensors: Mapping[str, Entry], data_size: int) -> None:
    """The tensors must cover the data part, each byte once."""
    end = 0
    for name, item in sorted(tensors.items(), key=lambda pair: (pair[1].start, pair[1].end)):
        if item.start < end:
            raise HeaderError(f"key {shown(name)}: overlaps another tensor")
        if item.start > end:
            raise HeaderError(f"key {shown(name)}: {item.start - end} bytes before it belong to no tensor")
        end = item.end
    if end != data_size:
        raise HeaderError(f"the last {data_size - end} bytes belong to no tensor")
