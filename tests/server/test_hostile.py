"""Fault 28: files made to harm whoever reads them are refused by name, and the decoder's limits hold."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wancore_client import Client, InvalidRequest
from wancore_server.decoder.data import BadData, check_data
from wancore_server.decoder.media import SNIFFED

from tests.server.harness import Server, running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Client]]:
    """Limits that small files reach."""
    limits = {
        "image_pixels": 400_000_000,
        "video_frames": 20,
        "decoder_memory_bytes": 2**30,
        "decoder_s": 20.0,
    }
    with running(tmp_path_factory.mktemp("hostile"), **limits) as pair:
        yield pair


def wav(
    data: bytes, channels: int = 1, rate: int = 8000, bits: int = 16, form: int = 1, size: int | None = None
) -> bytes:
    """A WAV file that says what it is told to say."""
    align = channels * bits // 8
    head = struct.pack("<HHIIHH", form, channels, rate, (rate * align) % 2**32, align % 2**16, bits)
    size = len(data) if size is None else size
    body = b"WAVEfmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", (len(body)) % 2**32) + body


def safetensors(header: object, data: bytes = bytes(16), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(start: int = 0, end: int = 16, shape: tuple[int, ...] = (4,)) -> dict[str, object]:
    return {"a": {"dtype": "F32", "shape": list(shape), "data_offsets": [start, end]}}


def gguf(tensors: int, values: int, rest: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, values) + rest


def lists_in_lists(depth: int) -> bytes:
    """One value of GGUF: a list of one list of one list …"""
    key = struct.pack("<Q", 1) + b"k" + struct.pack("<I", 9)
    return key + struct.pack("<IQ", 9, 1) * depth


def archive(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members:
            file.writestr(name, data)
    return buffer.getvalue()


def archive_bomb() -> bytes:
    """A small member that calls itself 3 GiB."""
    data = archive(("a.npy", bytes(1000)))
    at = data.rindex(b"PK\1\2") + 24
    return data[:at] + struct.pack("<I", 3 * 2**30) + data[at + 4 :]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def one_bit_picture(side: int = 18_000) -> bytes:
    """324 million pixels in some 40 KB: allowed here by its size, and too much for the memory."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    packer, line = zlib.compressobj(1), bytes(1 + side // 8)
    data = b"".join(packer.compress(line * 1000) for _ in range(side // 1000)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def long_video() -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=8, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        for _ in range(30):
            picture = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return buffer.getvalue()


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "wav-cut": (lambda: wav(bytes(100))[:30], "sound"),
    "wav-without-samples": (lambda: wav(b"", size=2**31), "sound"),
    "wav-without-channels": (lambda: wav(bytes(100), channels=0), "sound"),
    "wav-of-no-numbers": (lambda: wav(struct.pack("<f", float("nan")) * 99, bits=32, form=3), "no numbers"),
    "wav-longer-than-an-hour": (lambda: wav(bytes(2 * 4000), rate=1), "60 minutes"),
    "safetensors-cut": (lambda: safetensors(tensor())[:-1], "safetensors"),
    "safetensors-length": (lambda: safetensors(tensor(), length=2**62), "safetensors"),
    "safetensors-nested": (lambda: safetensors(b'{"a":' * 100_000), "safetensors"),
    "gguf-cut": (lambda: gguf(1, 0, bytes(9)), "GGUF"),
    "gguf-counts": (lambda: gguf(2**60, 2**60), "GGUF"),
    "pickle": (lambda: pickle.dumps({"a": 1}), "pickle"),
    "torch-archive": (lambda: archive(("archive/data.pkl", b"x")), "pickle"),
    "archive-bomb": (archive_bomb, "unpacks"),
    "picture-beyond-memory": (one_bit_picture, ""),
    "video-beyond-its-frames": (long_video, "20 frames"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(server: Server, client: Client, tmp_path: Path, name: str) -> None:
    make, said = HOSTILE[name]
    path = tmp_path / name
    path.write_bytes(make())
    with pytest.raises(InvalidRequest) as caught:
        client.upload(path)
    assert caught.value.reason == "ASSET_UNREADABLE" and said in caught.value.fields["data"]
    assert "/" not in caught.value.fields["data"]
    left = [file for kind in ("assets", "uploads", "scratch") for file in (server.data / kind).iterdir()]
    assert not left, "nothing of it stays"


def test_after_all_that_the_next_job_succeeds(client: Client, tmp_path: Path) -> None:
    """And what looks alike and is whole is taken."""
    for name, data in {
        "weights": safetensors(tensor()), "points": archive(("tracks.npy", bytes(100))), "text": b'{"a": 1}',
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(data)
        assert client.upload(tmp_path / name)
    assert client.generate(family="faulty", frames=1).wait().frame_count == 1


@pytest.mark.parametrize(
    "data",
    [
        safetensors(tensor(end=2**40)), safetensors(tensor(shape=(2**40, 2**40))),
        safetensors(tensor(shape=(-4,))), safetensors({**tensor(), "b": tensor()["a"]}), safetensors(b"{]"),
        gguf(0, 1, lists_in_lists(100)), gguf(1, 0, struct.pack("<Q", 2**50)),
    ],
)  # fmt: skip
def test_headers_that_lie(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(BadData):
        check_data(tmp_path / "a", data[:SNIFFED])


WHOLE = [
    safetensors({**tensor(), "__metadata__": {"k": "v"}}),
    gguf(0, 1, struct.pack("<Q", 1) + b"k" + struct.pack("<IQ", 8, 3) + b"abc"),
    archive(("a.npy", bytes(50)), ("b.json", b"{}")),
]


@settings(max_examples=150, deadline=None)
@given(which=st.sampled_from(WHOLE), at=st.integers(0, 400), value=st.binary(min_size=1, max_size=9))
def test_bitten_headers_are_taken_or_refused(
    tmp_path_factory: pytest.TempPathFactory, which: bytes, at: int, value: bytes
) -> None:
    """Whatever was overwritten: an answer, and no other error."""
    data = which[: at % len(which)] + value + which[at % len(which) + len(value) :]
    path = tmp_path_factory.getbasetemp() / "bitten"
    path.write_bytes(data)
    try:
        check_data(path, data[:SNIFFED])
    except BadData as error:
        assert "/" not in str(error)
