"""Tensors straight out of a mapped file.

The library's own mapping is writable memory to the kernel, which then refuses a file larger than what is
free, although its pages could be dropped at any time. This one asks for no such promise, so that a host
can convert or upload a model larger than its memory. Pages that are written to become private copies.
"""

from __future__ import annotations

import mmap
import platform
from pathlib import Path

import torch

from wancore.checkpoints.ggml_layout import QUANTISED
from wancore.checkpoints.gguf_header import read_gguf_header
from wancore.checkpoints.header import Entry, HeaderError, read_header

NO_RESERVE = 0x4000  # MAP_NORESERVE of Linux, which Python's mmap does not name
DTYPES = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "U16": torch.uint16, "I16": torch.int16,
    "U32": torch.uint32, "I32": torch.int32, "U64": torch.uint64, "I64": torch.int64,
    "F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64,
    "C64": torch.complex64, "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz, "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "F8_E8M0": torch.float8_e8m0fnu,
}  # fmt: skip


class MappedSafetensors:
    """An open safetensors file; its tensors keep the mapping alive. Raises `HeaderError`, `OSError`."""

    def __init__(self, path: Path) -> None:
        self._header = read_header(path)
        self._file = MappedFile(path)

    def get_tensor(self, name: str) -> torch.Tensor:
        """The tensor as stored: a view of the file, or a copy where it is not aligned to its elements.

        Raises `HeaderError`.
        """
        entry = self._header.tensors[name]
        if entry.dtype not in DTYPES:
            raise HeaderError(f"{entry.dtype} tensors cannot be read")
        flat = self._file.flat(DTYPES[entry.dtype], self._header.data_offset, entry)
        return flat.reshape(entry.shape)


class MappedGguf:
    """An open GGUF file; quantised tensors come as their bytes. Raises `GgufError`, `OSError`."""

    def __init__(self, path: Path) -> None:
        self._header = read_gguf_header(path)
        self._file = MappedFile(path)

    def get_tensor(self, name: str) -> torch.Tensor:
        """The tensor as stored, a view of the file; of a quantised one all bytes [n], uint8."""
        entry = self._header.tensors[name]
        dtype = DTYPES.get(entry.dtype)
        if entry.dtype in QUANTISED or dtype is None:
            return self._file.flat(torch.uint8, self._header.data_offset, entry)
        return self._file.flat(dtype, self._header.data_offset, entry).reshape(entry.shape)


class MappedFile:
    """The bytes of a file, seen as tensors; they keep the mapping alive."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._bytes = mapped(file.fileno())

    def flat(self, dtype: torch.dtype, data_offset: int, entry: Entry) -> torch.Tensor:
        """The elements of `entry` [n]: a view, or a copy where they are not aligned.

        Files are written with aligned headers; compiled loops may crash on the rare one that is not.
        Raises `HeaderError` if the file has shrunk since its header was read.
        """
        start, nbytes = data_offset + entry.start, entry.end - entry.start
        if nbytes == 0:
            return torch.empty(0, dtype=dtype)
        if start + nbytes > len(self._bytes):
            raise HeaderError("the file has become shorter")
        flat = torch.frombuffer(self._bytes, dtype=dtype, count=nbytes // dtype.itemsize, offset=start)
        return flat if start % dtype.itemsize == 0 else flat.clone()


def mapped(descriptor: int) -> mmap.mmap:
    """A private mapping of a whole file, which outlives its descriptor."""
    if platform.system() == "Linux":
        protection = mmap.PROT_READ | mmap.PROT_WRITE
        return mmap.mmap(descriptor, 0, flags=mmap.MAP_PRIVATE | NO_RESERVE, prot=protection)
    return mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY)
