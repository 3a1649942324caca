"""The safetensors header: every malformed one is refused with a reason."""

from __future__ import annotations

import contextlib
import json
import random
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from tests.checkpoints.synthetic import write_raw
from wancore.checkpoints import open_view
from wancore.checkpoints.header import MAX_HEADER_BYTES, HeaderError, parse, read_header
from wancore.errors import CheckpointError

few = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def described(**changes: object) -> bytes:
    entry = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]} | changes
    return json.dumps({"a": entry}).encode()


def test_what_the_library_writes_is_read(tmp_path: Path) -> None:
    arrays = {"a": np.zeros((2, 3), np.float32), "b.c": np.zeros((), np.int64), "none": np.zeros((0, 4))}
    save_file(arrays, tmp_path / "x.safetensors", metadata={"format": "pt"})
    header = read_header(tmp_path / "x.safetensors")
    assert {k: (e.dtype, e.shape) for k, e in header.tensors.items()} == {
        "a": ("F32", (2, 3)), "b.c": ("I64", ()), "none": ("F64", (0, 4))
    }  # fmt: skip
    assert header.metadata == {"format": "pt"}


@pytest.mark.parametrize(
    ("header", "size", "problem"),
    [
        (described(), 15, "truncated file, 16 bytes of data needed and 15 there"),
        (described(), 17, "last 1 bytes belong to no tensor"),
        (described(data_offsets=[0, 15]), 16, "do not hold"),
        (described(data_offsets=[16, 0]), 16, "do not hold"),
        (described(data_offsets=[-16, 0]), 16, "malformed entry"),
        (described(data_offsets=[False, 16]), 16, "malformed entry"),
        (described(data_offsets=[0.0, 16.0]), 16, "malformed entry"),
        (described(data_offsets=[0]), 16, "malformed entry"),
        (described(shape=[2, -2]), 16, "malformed entry"),
        (described(shape="22"), 16, "malformed entry"),
        (described(shape=[2**62, 2**62, 0]), 16, "impossible shape"),
        (described(shape=[4, True]), 16, "malformed entry"),
        (described(dtype="F31"), 16, "unknown dtype 'F31'"),
        (described(dtype=3), 16, "malformed entry"),
        (b'{"a": 3}', 0, "malformed entry"),
        (b'{"__metadata__": {"x": 3}}', 0, "__metadata__ is not a mapping of strings"),
        (b'{"__metadata__": []}', 0, "__metadata__ is not a mapping of strings"),
        (b'{"a": 1, "a": 2}', 0, "a name occurs twice"),
        (b'{"\\ud800": 1}', 0, "not valid Unicode"),
        (b'{"a": ', 0, "not JSON"),
        (b'{"a": "\xff"}', 0, "not JSON"),
        (b'{"a": ' + b"[" * 100_000, 0, "not JSON"),
        (b'{"a": ' + b"9" * 5_000 + b"}", 0, "not JSON"),
        (b"[]", 0, "does not begin with '{'"),
        (b'{"a":{}}'.decode().encode("utf-16"), 0, "does not begin with '{'"),
        (b"", 0, "does not begin with '{'"),
    ],
)
def test_malformed_headers_say_what_is_wrong(header: bytes, size: int, problem: str) -> None:
    with pytest.raises(HeaderError) as error:
        parse(header, 0, size)
    assert problem in str(error.value)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("offsets", "problem"),
    [
        (([0, 4], [0, 4]), "'b': overlaps"),
        (([0, 4], [3, 7]), "'b': overlaps"),
        (([4, 8], [2, 6]), "belong to no tensor"),
        (([0, 4], [5, 9]), "1 bytes before it belong to no tensor"),
    ],
)
def test_tensors_cover_the_data_once(offsets: tuple[list[int], list[int]], problem: str) -> None:
    names = zip(("a", "b"), offsets, strict=True)
    document = {n: {"dtype": "F32", "shape": [1], "data_offsets": o} for n, o in names}
    with pytest.raises(HeaderError, match=problem):
        parse(json.dumps(document).encode(), 0, 9)


@pytest.mark.parametrize("length", [MAX_HEADER_BYTES + 1, 2**63, 2**64 - 1, 200])
def test_the_header_length_is_bounded_before_reading(tmp_path: Path, length: int) -> None:
    path = tmp_path / "x.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", length) + b"{}")
        file.truncate(2 * MAX_HEADER_BYTES if length != 200 else 100)
    tracemalloc.start()
    with pytest.raises(HeaderError, match=f"header of {length} bytes"):
        read_header(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.safetensors"):
        with pytest.raises(HeaderError, match="not a file"):
            read_header(path)


def test_long_names_do_not_flood_the_message() -> None:
    with pytest.raises(HeaderError) as error:
        parse(json.dumps({"x" * 1_000_000: 3}).encode(), 0, 0)
    assert len(str(error.value)) < 300


@given(st.binary(max_size=300))
@few
def test_random_bytes_raise_only_our_errors(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    for read, refusal in ((read_header, HeaderError), (open_view, CheckpointError)):
        with contextlib.suppress(refusal):
            read(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)
entries = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["F32", "BF16", "F8_E4M3", "F4", "X"]) | json_values,
        "shape": st.lists(st.integers(-1, 4), max_size=3) | json_values,
        "data_offsets": st.lists(st.integers(-1, 40), min_size=2, max_size=2) | json_values,
    },
)


@given(st.dictionaries(st.sampled_from(["a", "b", "__metadata__"]), entries | json_values, max_size=3))
@few
def test_any_json_raises_only_our_error_or_agrees_with_the_library(tmp_path: Path, document: object) -> None:
    path = write_raw(tmp_path / "x.safetensors", json.dumps(document).encode(), 40)
    try:
        header = read_header(path)
    except HeaderError:
        return
    with safe_open(str(path), framework="np") as file:
        assert {k: tuple(file.get_slice(k).get_shape()) for k in file.keys()} == {  # noqa: SIM118
            k: e.shape for k, e in header.tensors.items()
        }


@given(seed=st.integers(0, 2**32), flips=st.integers(1, 4))
@few
def test_mutated_files_are_refused_or_read_alike(tmp_path: Path, seed: int, flips: int) -> None:
    path = tmp_path / "x.safetensors"
    arrays = {"blocks.0.q.weight": np.ones((3, 4), np.float32), "b": np.ones(5, np.float16)}
    save_file(arrays, path, metadata={"format": "pt"})
    data, rng = bytearray(path.read_bytes()), random.Random(seed)
    for _ in range(flips):
        data[rng.randrange(8 + int.from_bytes(data[:8], "little") % len(data)) % len(data)] = rng.randrange(
            256
        )
    path.write_bytes(data[: rng.choice([len(data), rng.randrange(len(data))])])
    try:
        view = open_view(path)
        shapes = {name: tuple(view.tensor(name).shape) for name in view.entries}
    except CheckpointError:
        return
    assert shapes == {name: view.shape(name) for name in view.entries}
    try:
        with safe_open(str(path), framework="np") as file:
            assert set(file.keys()) == set(shapes)
    except SafetensorError as error:  # accepted here only if the library could read the tensors above
        pytest.fail(f"the library refuses what was read: {error}")
