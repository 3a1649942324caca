"""GGUF files: written by llama.cpp's package, by hand, and by somebody hostile."""

from __future__ import annotations

import struct
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wancore.checkpoints import open_view
from wancore.checkpoints.ggml_layout import LAYOUTS
from wancore.checkpoints.gguf_formats import READ
from wancore.checkpoints.layer_formats import found_formats
from wancore.errors import CheckpointError
from wancore.quant.ggml_types import GGML_TYPES

Kind = gguf.GGMLQuantizationType


def written(path: Path, alignment: int | None = None) -> dict[str, np.ndarray]:
    """A file of several types; its tensors as llama.cpp reads them."""
    rng = np.random.default_rng(0)
    values = {
        "blocks.0.q.weight": rng.standard_normal((4, 64), np.float32),
        "patch_embedding.weight": rng.standard_normal((6, 2, 1, 2), np.float32),
        "blocks.0.norm.weight": rng.standard_normal((5,), np.float32),
        "flat.weight": rng.standard_normal((3, 96), np.float32),
    }
    writer = gguf.GGUFWriter(str(path), "wan")
    if alignment:
        writer.add_custom_alignment(alignment)
    writer.add_array("tokenizer.ggml.tokens", [f"token {i}" for i in range(2000)])
    writer.add_array("comfy.gguf.orig_shape.flat.weight", [3, 4, 24])
    for name, value in values.items():
        if name in ("blocks.0.q.weight", "flat.weight"):
            writer.add_tensor(name, gguf.quantize(value, Kind.Q5_1), raw_dtype=Kind.Q5_1)
            values[name] = gguf.dequantize(gguf.quantize(value, Kind.Q5_1), Kind.Q5_1)
        else:
            writer.add_tensor(name, value)
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file):
        step()
    writer.close()
    values["flat.weight"] = values["flat.weight"].reshape(3, 4, 24)
    return values


@pytest.mark.parametrize("alignment", [None, 256])
def test_files_of_llama_cpp_are_read(tmp_path: Path, alignment: int | None) -> None:
    values = written(tmp_path / "x.gguf", alignment)
    view = open_view(tmp_path / "x.gguf")
    assert {name: view.shape(name) for name in view.entries} == {k: v.shape for k, v in values.items()}
    for name, value in values.items():
        assert np.array_equal(view.tensor(name).numpy(), value)
    assert [(f.name, f.layers) for f in found_formats(view)] == [("GGUF Q5_1", 2)]
    assert view.metadata["general.architecture"] == "wan" and "tokenizer.ggml.tokens" not in view.metadata
    with view.reader() as reader:
        kept = reader.weight("blocks.0.q.weight", (4, 64))
    assert kept is not None and kept.nbytes == 4 * 2 * 24


def test_every_type_of_llama_cpp_is_known_in_size() -> None:
    known = {kind: (layout.elements, layout.size) for kind, layout in LAYOUTS.items()}
    sizes = {int(kind): size for kind, size in gguf.GGML_QUANT_SIZES.items()}
    assert {kind: sizes[kind] for kind in known} == known
    assert {layout.name: kind for kind, layout in LAYOUTS.items()} == {
        Kind(kind).name: kind for kind in known
    }
    assert set(GGML_TYPES) == READ


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def tensor(name: str, sizes: Sequence[int], kind: int, offset: int) -> bytes:
    shape = struct.pack(f"<{len(sizes)}Q", *sizes)
    return text(name) + struct.pack("<I", len(sizes)) + shape + struct.pack("<IQ", kind, offset)


def raw(
    path: Path,
    tensors: Sequence[bytes] = (),
    metadata: Sequence[bytes] = (),
    data: int = 0,
    counts: tuple[int, int] | None = None,
    version: int = 3,
) -> Path:
    """A file with exactly these parts, whatever they say; `counts`: of tensors and metadata."""
    tensor_count, metadata_count = counts or (len(tensors), len(metadata))
    head = b"GGUF" + struct.pack("<IQQ", version, tensor_count, metadata_count)
    body = head + b"".join(metadata) + b"".join(tensors)
    path.write_bytes(body + bytes(-len(body) % 32) + bytes(data))
    return path


def alignment(value: int) -> bytes:
    return text("general.alignment") + struct.pack("<II", 4, value)


F32, Q8_0, IQ3_S = 0, 8, 21
BAD: dict[str, tuple[dict[str, object], str]] = {
    "a count of tensors that is not there": ({"counts": (2**60, 0)}, "truncated"),
    "a count of metadata that is not there": ({"counts": (0, 2**64 - 1)}, "truncated"),
    "a name longer than the file": ({"tensors": [struct.pack("<Q", 2**63)]}, "bytes where at most"),
    "a list longer than the file": (
        {"metadata": [text("a") + struct.pack("<IIQ", 9, 4, 2**61)]},
        "truncated",
    ),
    "a list of texts that never ends": (
        {"metadata": [text("a") + struct.pack("<IIQ", 9, 8, 2**61) + text("x") * 50]},
        "truncated",
    ),
    "lists within lists within lists": (
        {"metadata": [text("a") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 6]},
        "unknown type 9",
    ),
    "a type of metadata that does not exist": ({"metadata": [text("a") + struct.pack("<I", 77)]}, "type 77"),
    "a text that is not UTF-8": ({"metadata": [struct.pack("<Q", 1) + b"\xff"]}, "not UTF-8"),
    "metadata given twice": ({"metadata": [alignment(32), alignment(64)]}, "occurs twice"),
    "an alignment of zero": ({"metadata": [alignment(0)]}, "accepted: a power of two"),
    "an alignment of three": ({"metadata": [alignment(3)]}, "accepted: a power of two"),
    "an enormous alignment": ({"metadata": [alignment(2**31)]}, "accepted: a power of two"),
    "too many dimensions": ({"tensors": [tensor("a", [1] * 9, F32, 0)]}, "9 dimensions"),
    "sizes that overflow": ({"tensors": [tensor("a", [2**32] * 4, F32, 0)]}, "impossible shape"),
    "sizes that overflow but for a zero": ({"tensors": [tensor("a", [2**63, 0, 4], F32, 0)]}, "impossible"),
    "data beyond the end": ({"tensors": [tensor("a", [8], F32, 0)], "data": 31}, "truncated"),
    "an offset beyond the end": ({"tensors": [tensor("a", [8], F32, 2**40)], "data": 32}, "truncated"),
    "an offset out of line": ({"tensors": [tensor("a", [8], F32, 4)], "data": 64}, "no multiple of 32"),
    "tensors that overlap": (
        {"tensors": [tensor("a", [16], F32, 0), tensor("b", [8], F32, 32)], "data": 64},
        "overlaps another",
    ),
    "tensors in the same place": (
        {"tensors": [tensor("a", [8], F32, 0), tensor("b", [8], F32, 0)], "data": 64},
        "overlaps another",
    ),
    "a tensor given twice": (
        {"tensors": [tensor("a", [8], F32, 0), tensor("a", [8], F32, 32)], "data": 64},
        "'a' occurs twice",
    ),
    "rows that are no whole blocks": ({"tensors": [tensor("a", [33], Q8_0, 0)], "data": 64}, "whole blocks"),
    "a type that does not exist": ({"tensors": [tensor("a", [8], 999, 0)]}, "unknown type 999"),
    "another byte order or version": ({"version": 3 << 24}, "version 50331648; accepted"),
    "a shape that the data never had": (
        {
            "metadata": [text("comfy.gguf.orig_shape.a") + struct.pack("<IIQii", 9, 5, 2, 3, 3)],
            "tensors": [tensor("a", [8], F32, 0)],
            "data": 32,
        },
        "[8] was never [3, 3]",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_hostile_headers_are_refused_quickly_and_without_memory(tmp_path: Path, what: str) -> None:
    parts, problem = BAD[what]
    path = raw(tmp_path / "x.gguf", **parts)  # type: ignore[arg-type]
    tracemalloc.start()
    started = time.perf_counter()
    with pytest.raises(CheckpointError) as error:
        open_view(path)
    seconds, (_, peak) = time.perf_counter() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert problem in str(error.value) and str(path) in str(error.value)
    assert peak < 2_000_000 and seconds < 5


def test_types_that_are_not_read_are_named(tmp_path: Path) -> None:
    path = raw(tmp_path / "x.gguf", [tensor("a.weight", [256], IQ3_S, 0)], data=128)
    view = open_view(path)
    assert [(f.name, f.readable) for f in found_formats(view)] == [("GGUF IQ3_S", False)]
    with pytest.raises(CheckpointError, match=r"'a\.weight': is stored as GGUF IQ3_S: accepted: IQ4_NL"):
        view.tensor("a.weight")


@given(st.data())
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_files_are_read_or_refused_and_nothing_else(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "x.gguf"
    if not path.exists():
        written(path)
    whole = bytearray(path.read_bytes())
    damaged = tmp_path / "damaged.gguf"
    for _ in range(data.draw(st.integers(1, 4))):
        where = data.draw(st.integers(0, 400) | st.integers(len(whole) - 4000, len(whole) - 1))
        whole[where] = data.draw(st.integers(0, 255))
    damaged.write_bytes(whole[: data.draw(st.integers(0, len(whole)) | st.just(len(whole)))])
    try:
        view = open_view(damaged)
        for name in view.entries:
            view.tensor(name)
    except CheckpointError as error:
        assert str(damaged) in str(error)


def test_a_file_that_shrinks_after_opening_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "x.gguf")
    view = open_view(tmp_path / "x.gguf")
    (tmp_path / "x.gguf").write_bytes((tmp_path / "x.gguf").read_bytes()[:-300])
    with pytest.raises(CheckpointError, match="truncated"):
        for name in view.entries:
            view.tensor(name)


def test_sharded_files_belong_together(tmp_path: Path) -> None:
    for i in (1, 2):
        name = f"w-0000{i}-of-00002.gguf"
        raw(tmp_path / name, [tensor(f"k{i}", [2], F32, 0)], data=32)
    assert set(open_view(tmp_path).entries) == {"k1", "k2"}
    assert set(open_view(tmp_path / "w-00001-of-00002.gguf").entries) == {"k1", "k2"}
    assert torch.equal(open_view(tmp_path).tensor("k1"), torch.zeros(2))
