"""Uploads: content-addressed, resumed, refused when they are not what they say."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import grpc
import numpy as np
import pytest
from PIL import Image
from wancore_client import Client, InvalidRequest, Refused
from wancore_client.errors import api_error
from wancore_proto.v1 import asset_service_pb2 as pb
from wancore_proto.v1 import job_pb2

from tests.server.harness import Server, eventually

Kind = pb.Asset.Kind


def png(width: int = 40, height: int = 30, seed: int = 0) -> bytes:
    buffer = BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def mp4(frames: int = 6) -> bytes:
    buffer = BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), i * 20, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def name_of(data: bytes) -> str:
    return f"assets/sha256-{hashlib.sha256(data).hexdigest()}"


def send(client: Client, messages: Iterator[pb.UploadAssetRequest]) -> Any:
    try:
        return client.asset_calls.UploadAsset(messages, metadata=client.connection.metadata)
    except grpc.RpcError as error:
        raise api_error(error) from error


def messages(
    data: bytes,
    start: int = 0,
    end: int | None = None,
    name: str = "",
    size: int | None = None,
    piece: int = 500,
) -> Iterator[pb.UploadAssetRequest]:
    header = pb.UploadHeader(name=name or name_of(data), size_bytes=len(data) if size is None else size)
    yield pb.UploadAssetRequest(header=header)
    stop = len(data) if end is None else end
    for at in range(start, stop, piece):
        yield pb.UploadAssetRequest(offset_bytes=at, data=data[at : min(at + piece, stop)])


def asset(client: Client, name: str) -> Any:
    return client.call(client.asset_calls.GetAsset, pb.GetAssetRequest(name=name))


def reached(client: Client, name: str) -> Any:
    return client.call(client.asset_calls.GetUpload, pb.GetUploadRequest(name=name))


def test_a_picture_is_recognised_and_used(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png())
    name = client.upload(path)
    found = asset(client, name)
    assert (found.kind, found.width, found.height, found.frame_count) == (Kind.KIND_IMAGE, 40, 30, 1)
    client.generate(family="faulty", frames=1, inputs={"image": name}).wait()
    missing = client.call(client.asset_calls.CheckAssets, pb.CheckAssetsRequest(names=[name, name_of(b"x")]))
    assert list(missing.missing) == [name_of(b"x")]


def test_a_video_is_recognised_and_used(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(mp4())
    name = client.upload(path)
    found = asset(client, name)
    assert (found.kind, found.width, found.height, found.frame_count) == (Kind.KIND_VIDEO, 64, 48, 6)
    client.generate(family="faulty", frames=1, inputs={"video": name}).wait()
    with pytest.raises(InvalidRequest) as caught:
        client.create(family="faulty", inputs={"image": name})
    assert caught.value.reason == "ASSET_UNREADABLE"


def test_a_missing_asset_is_named(client: Client) -> None:
    with pytest.raises(Refused) as caught:
        client.create(family="faulty", inputs={"image": name_of(b"never sent")})
    assert caught.value.reason == "ASSET_MISSING"
    assert caught.value.metadata["asset"] == name_of(b"never sent")


def test_a_cut_upload_goes_on_where_it_was(client: Client) -> None:
    data = png(seed=1)
    with pytest.raises(Refused) as caught:
        send(client, messages(data, end=1500))
    assert caught.value.reason == "DIGEST_MISMATCH"
    there = reached(client, name_of(data))
    assert there.offset_bytes == 1500 and not there.complete
    assert send(client, messages(data, start=1000)).kind == Kind.KIND_IMAGE
    assert reached(client, name_of(data)).complete


def test_wrong_digest_too_long_and_gaps_are_refused(client: Client) -> None:
    data = png(seed=2)
    with pytest.raises(Refused) as wrong:
        send(client, messages(data, name=name_of(b"other")))
    assert wrong.value.reason == "DIGEST_MISMATCH"
    with pytest.raises(Refused) as long:
        send(client, messages(data, size=100))
    assert long.value.reason == "DIGEST_MISMATCH"
    with pytest.raises(InvalidRequest) as gap:
        send(client, messages(data, start=500))
    assert gap.value.reason == "INVALID_FIELD" and "offset_bytes" in gap.value.fields


def test_the_same_asset_twice_at_once(server: Server, client: Client) -> None:
    """Fault 27: both callers get it, one is stored; also where one of them is cut off on the way."""
    data = png(200, 150, seed=5)
    both = threading.Barrier(3)

    def slowly(end: int | None) -> Iterator[pb.UploadAssetRequest]:
        both.wait(10)
        for message in messages(data, end=end, piece=20_000):
            yield message
            time.sleep(0.02)

    def upload(end: int | None) -> Any:
        with server.client() as own:
            return send(own, slowly(end))

    with ThreadPoolExecutor(3) as pool:
        whole = [pool.submit(upload, None), pool.submit(upload, None)]
        cut = pool.submit(upload, 40_000)
        made = [upload.result(20) for upload in whole]
        with contextlib.suppress(Refused):
            made.append(cut.result(20))
    assert {(asset.name, asset.size_bytes) for asset in made} == {(name_of(data), len(data))}
    digest = name_of(data).removeprefix("assets/")
    assert sorted(p.name for p in (server.data / "assets").glob(f"{digest}*")) == [digest, f"{digest}.clean"]
    assert not list((server.data / "uploads").glob(f"*{digest}"))
    client.generate(family="faulty", frames=1, inputs={"image": name_of(data)}).wait()


@pytest.mark.parametrize(
    "data",
    [
        png(seed=3)[:400],
        mp4()[:900],
        b"\x89PNG\r\n\x1a\n" + bytes(200),
        b"RIFF\x00\x00\x00\x00WEBPVP8 " + bytes(100),
    ],
    ids=["cut-png", "cut-mp4", "empty-png", "webp"],
)
def test_damaged_media_are_refused(client: Client, data: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        send(client, messages(data))
    assert caught.value.reason == "ASSET_UNREADABLE"
    assert "/" not in str(caught.value)


def test_a_bomb_is_refused_before_it_is_decoded(client: Client) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))
    with pytest.raises(InvalidRequest) as caught:
        send(client, messages(data + chunk(b"IEND", b"")))
    assert caught.value.reason == "ASSET_UNREADABLE" and "pixels" in caught.value.fields["data"]


def test_an_asset_in_use_stays(client: Client, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(seed=9))
    job = client.create(
        family="faulty", steps=200, params={"step_s": 0.05}, inputs={"image": tmp_path / "a.png"}
    )
    request = pb.DeleteAssetRequest(name=name_of(png(seed=9)))
    with pytest.raises(Refused) as caught:
        client.call(client.asset_calls.DeleteAsset, request)
    assert caught.value.reason == "ASSET_IN_USE" and caught.value.metadata["job"] == job.name
    client.cancel(job.name)
    eventually(lambda: client.job(job.name).state == job_pb2.Job.STATE_CANCELLED)
    client.call(client.asset_calls.DeleteAsset, request)


def test_deleting_an_asset(client: Client) -> None:
    data = b"some tracks"
    made = send(client, messages(data))
    assert made.kind == Kind.KIND_DATA
    client.call(client.asset_calls.DeleteAsset, pb.DeleteAssetRequest(name=made.name))
    assert not reached(client, made.name).complete
