"""Reading the header of a safetensors file, without torch and without trusting it.

Format: 8 bytes little-endian header length, that many bytes of JSON, then the tensors' bytes.
https://huggingface.co/docs/safetensors/index#format
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_HEADER_BYTES = 100_000_000  # the format's own limit

BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip


class HeaderError(ValueError):
    """The file is not a well-formed safetensors file; the text says how."""


@dataclass(frozen=True)
class Entry:
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
    """Reads and checks the header of `path`. Raises `HeaderError`."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length_bytes = file.read(8)
            if len(length_bytes) < 8:
                raise HeaderError("not a safetensors file: shorter than its header length")
            (length,) = struct.unpack("<Q", length_bytes)
            if length > MAX_HEADER_BYTES or 8 + length > size:
                raise HeaderError(f"not a safetensors file, or truncated: header of {length} bytes in {size}")
            raw = file.read(length)
    except OSError as error:
        raise HeaderError(f"cannot be read: {error.strerror}") from error
    return parse(raw, data_offset=8 + length, data_size=size - 8 - length)


def parse(raw: bytes, data_offset: int, data_size: int) -> Header:
    try:
        document = json.loads(raw, object_pairs_hook=no_duplicates)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise HeaderError(f"not a safetensors file: header is not JSON ({error})") from error
    if not isinstance(document, dict):
        raise HeaderError("not a safetensors file: header is not a JSON object")
    metadata = document.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise HeaderError("__metadata__ is not a mapping of strings")
    tensors = {name: entry(name, value, data_size) for name, value in document.items()}
    check_layout(tensors)
    return Header(tensors, metadata, data_offset)


def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name occurs twice")
    return result


def entry(name: str, value: object, data_size: int) -> Entry:
    match value:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [int(start), int(end)]} if all(
            type(n) is int and n >= 0 for n in shape
        ):
            pass
        case _:
            raise HeaderError(f"key {name!r}: malformed entry")
    if dtype not in BITS:
        raise HeaderError(f"key {name!r}: unknown dtype {dtype!r}")
    if not 0 <= start <= end or end - start != math.prod(shape) * BITS[dtype] // 8:
        raise HeaderError(f"key {name!r}: {end - start} bytes do not hold {dtype}{list(shape)}")
    if end > data_size:
        raise HeaderError(f"key {name!r}: truncated file, {end} bytes of data needed and {data_size} there")
    return Entry(dtype, tuple(shape), start, end)


def check_layout(tensors: Mapping[str, Entry]) -> None:
    """Tensors must not share bytes."""
    end = 0
    for name, item in sorted(tensors.items(), key=lambda pair: (pair[1].start, pair[1].end)):
        if item.start < end:
            raise HeaderError(f"key {name!r}: overlaps another tensor")
        end = max(end, item.end)
