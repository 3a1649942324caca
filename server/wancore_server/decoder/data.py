"""Files that are neither picture, video nor sound: what a known format says of itself must be true.

Nothing is unpacked: only headers and tables of contents are read.
"""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

from wancore.checkpoints.gguf_header import MAGIC as GGUF
from wancore.checkpoints.gguf_header import GgufError, read_gguf_header
from wancore.checkpoints.header import HeaderError, read_header

MAX_UNPACKED = 2**30
PICKLES = (".pkl", ".pickle", ".pt", ".pth")


class BadData(Exception):
    """A file that is not what it begins as, or that would unpack to far too much."""


def check_data(path: Path, start: bytes) -> None:
    """Raises `BadData`; its text names no path."""
    try:
        if start.startswith(GGUF):
            read_gguf_header(path)
        elif is_safetensors(start):
            read_header(path)
        elif start[:1] == b"\x80" and start[1:2] in (b"\2", b"\3", b"\4", b"\5"):
            raise BadData("is a pickle, which can run code; it is not taken")
        elif start.startswith(b"PK\3\4"):
            check_archive(path)
    except GgufError as error:
        raise BadData(f"is a damaged GGUF file: {error}") from error
    except HeaderError as error:
        raise BadData(f"is a damaged safetensors file: {error}") from error


def is_safetensors(start: bytes) -> bool:
    """A length in eight bytes, which no text has before its first brace; then JSON."""
    return start[8:9] == b"{" and b"\0" in start[:8]


def check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise BadData("is a damaged archive") from error
    if any(PurePosixPath(m.filename).suffix.lower() in PICKLES for m in members):
        raise BadData("holds a pickle, which can run code; it is not taken")
    if sum(m.file_size for m in members) > MAX_UNPACKED:
        raise BadData(f"unpacks to more than {MAX_UNPACKED} bytes")
