"""Reading the header of a GGUF file, without torch and without trusting it.

Little-endian: magic, version, tensor count, metadata count; metadata; for each tensor its name, sizes
(innermost first), type and offset; padding; data. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
Reading is bounded by the file: no count makes it allocate, and lists are walked over, not kept.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from wancore.checkpoints.ggml_layout import LAYOUTS
from wancore.checkpoints.header import KEPT, MAX_ELEMENTS, Entry
from wancore.errors import shown

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_HEADER_BYTES = 100_000_000
MAX_NAME_BYTES = 1024
MAX_TEXT_BYTES = 1_000_000
MAX_DIMS = 8
MAX_NESTING = 4
KEPT_ITEMS = 16  # of a list; longer ones are vocabularies
DEFAULT_ALIGNMENT, MAX_ALIGNMENT = 32, 1 << 20
ALIGNMENT, ORIGINAL_SHAPE = "general.alignment", "comfy.gguf.orig_shape."

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
TEXT, LIST = 8, 9
Value = int | float | bool | str | list["Value"] | None


class GgufError(ValueError):
    """The file is not a well-formed GGUF file; the text says how."""


@dataclass(frozen=True)
class GgufHeader:
    """`tensors`: byte ranges count from `data_offset`; `metadata`: texts, and other values as JSON."""

    tensors: Mapping[str, Entry]
    metadata: Mapping[str, str]
    data_offset: int


class Cursor:
    """Reads the header front to back; every length is checked against what is left before it is used."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size, self.position = file, size, 0

    def take(self, count: int) -> bytes:
        self.check(count)
        data = self.file.read(count)
        if len(data) != count:
            raise GgufError("truncated header")
        self.position += count
        return data

    def skip(self, count: int) -> None:
        self.check(count)
        self.file.seek(count, 1)
        self.position += count

    def check(self, count: int) -> None:
        if self.position + count > self.size:
            raise GgufError(f"truncated: {count} bytes of header needed at {self.position} of {self.size}")
        if self.position + count > MAX_HEADER_BYTES:
            raise GgufError(f"its header is longer than {MAX_HEADER_BYTES // 1_000_000} MB")

    def number(self, code: str) -> int:
        return self.numbers(code)[0]

    def numbers(self, codes: str) -> tuple[int, ...]:
        """Several whole numbers at once: a header has thousands."""
        codes = "<" + codes
        return struct.unpack(codes, self.take(struct.calcsize(codes)))

    def text(self, limit: int) -> str:
        length = self.number("Q")
        if length > limit:
            raise GgufError(f"a text of {length} bytes where at most {limit} are accepted")
        try:
            return self.take(length).decode("utf-8")
        except UnicodeDecodeError as error:
            raise GgufError("a text is not UTF-8") from error


def read_gguf_header(path: Path) -> GgufHeader:
    """Reads and checks the header of `path`. Reads no data. Raises `GgufError`."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            return parse(Cursor(file, size))
    except OSError as error:
        raise GgufError(f"cannot be read: {error.strerror}") from error


def parse(cursor: Cursor) -> GgufHeader:
    if cursor.take(4) != MAGIC:
        raise GgufError("not a GGUF file")
    version = cursor.number("I")
    if version not in VERSIONS:
        raise GgufError(f"GGUF version {version}; accepted: {VERSIONS} (little-endian)")
    tensor_count, metadata_count = cursor.number("Q"), cursor.number("Q")
    metadata: dict[str, Value] = {}
    for _ in range(metadata_count):
        name = cursor.text(MAX_NAME_BYTES)
        if name in metadata:
            raise GgufError(f"metadata {shown(name)} occurs twice")
        metadata[name] = value(cursor, cursor.number("I"))
    alignment = aligned_to(metadata)
    described: dict[str, Entry] = {}
    for _ in range(tensor_count):
        name, entry = tensor(cursor, metadata, alignment)
        if name in described:
            raise GgufError(f"tensor {shown(name)} occurs twice")
        described[name] = entry
    data_offset = -(-cursor.position // alignment) * alignment
    check_data(described, cursor.size - data_offset)
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items() if v is not None}
    return GgufHeader(kept(tuple(described.items())), texts, data_offset)


@lru_cache(KEPT)
def kept(tensors: tuple[tuple[str, Entry], ...]) -> Mapping[str, Entry]:
    """One object for the same tensors, by which files of one architecture are known."""
    return dict(tensors)


def value(cursor: Cursor, kind: int, nesting: int = 0) -> Value:
    """A metadata value; None for a list that is not kept."""
    if kind in SCALARS:
        code = "<" + SCALARS[kind]
        (scalar,) = struct.unpack(code, cursor.take(struct.calcsize(code)))
        return scalar
    if kind == TEXT:
        return cursor.text(MAX_TEXT_BYTES)
    if kind == LIST and nesting < MAX_NESTING:
        return items(cursor, nesting + 1)
    raise GgufError(f"metadata of the unknown type {kind}")


def items(cursor: Cursor, nesting: int) -> Value:
    kind, count = cursor.number("I"), cursor.number("Q")
    if kind in SCALARS and count > KEPT_ITEMS:
        cursor.skip(count * struct.calcsize("<" + SCALARS[kind]))
        return None
    kept: list[Value] = []
    for _ in range(count):  # every item takes bytes of the file, so that a false count ends at its end
        item = value(cursor, kind, nesting)
        if count <= KEPT_ITEMS:
            kept.append(item)
    return kept if count <= KEPT_ITEMS else None


def aligned_to(metadata: Mapping[str, Value]) -> int:
    alignment = metadata.get(ALIGNMENT, DEFAULT_ALIGNMENT)
    if type(alignment) is not int or not 0 < alignment <= MAX_ALIGNMENT or alignment & (alignment - 1):
        raise GgufError(f"{ALIGNMENT}: got {shown(alignment)}; accepted: a power of two")
    return alignment


def tensor(cursor: Cursor, metadata: Mapping[str, Value], alignment: int) -> tuple[str, Entry]:
    """(name, entry) of the next tensor; its shape outermost first, as it was before it was stored."""
    name = cursor.text(MAX_NAME_BYTES)
    dims = cursor.number("I")
    if dims > MAX_DIMS:
        raise wrong(name, f"{dims} dimensions; accepted: at most {MAX_DIMS}")
    *sizes, kind, offset = cursor.numbers(f"{dims}QIQ")
    stored = tuple(reversed(sizes))
    if kind not in LAYOUTS:
        raise wrong(name, f"unknown type {kind}")
    layout = LAYOUTS[kind]
    if math.prod(n for n in stored if n) > MAX_ELEMENTS:
        raise wrong(name, f"impossible shape {list(stored)}")
    if (stored[-1] if stored else 1) % layout.elements:
        raise wrong(name, f"rows of {stored[-1:]} are no whole blocks of {layout.name}")
    if offset % alignment:
        raise wrong(name, f"offset {offset} is no multiple of {alignment}")
    nbytes = math.prod(stored) // layout.elements * layout.size
    return name, Entry(layout.name, original_shape(name, stored, metadata), offset, offset + nbytes)


def wrong(name: str, problem: str) -> GgufError:
    return GgufError(f"tensor {shown(name)}: {problem}")


def original_shape(name: str, stored: tuple[int, ...], metadata: Mapping[str, Value]) -> tuple[int, ...]:
    """The shape before a converter made it fit GGUF, where the file says so."""
    given = metadata.get(ORIGINAL_SHAPE + name)
    if given is None:
        return stored
    if not isinstance(given, list) or any(type(n) is not int or n < 1 for n in given):
        raise GgufError(f"{ORIGINAL_SHAPE}{shown(name)[1:-1]}: got {shown(given)}; accepted: sizes")
    shape = tuple(n for n in given if isinstance(n, int))
    if math.prod(shape) != math.prod(stored):
        raise GgufError(f"tensor {shown(name)}: {list(stored)} was never {list(shape)}")
    return shape


def check_data(tensors: Mapping[str, Entry], data_size: int) -> None:
    """Every tensor lies within the data, and no two overlap."""
    end = 0
    for name, entry in sorted(tensors.items(), key=lambda pair: (pair[1].start, pair[1].end)):
        if entry.end > data_size:
            raise GgufError(f"tensor {shown(name)}: truncated, {entry.end} bytes needed of {data_size}")
        if entry.start < end:
            raise GgufError(f"tensor {shown(name)}: overlaps another tensor")
        end = max(end, entry.end)
