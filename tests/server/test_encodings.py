"""Encodings chosen per viewer: made once, the same bytes on every read, and decodable by stock tools."""

from __future__ import annotations

from io import BytesIO

import av
import numpy as np
import pytest
from PIL import Image
from wancore_client import Client, Fragment, Frame

from tests.server.faulty.wancore_faulty import picture


@pytest.fixture(scope="module")
def job(client: Client) -> str:
    generation = client.generate(
        family="faulty", size=(64, 48), frames=10, seed=3, keep=["raw", "h264-fmp4", "jpeg"],
        params={"block_frames": 4},
    )  # fmt: skip
    generation.wait()
    assert [a.media_type for a in generation.artifacts] == [
        "application/octet-stream", "video/mp4", "image/jpeg"
    ]  # fmt: skip
    return generation.job


def watched(client: Client, job: str, encoding: str, from_frame: int | None = None) -> list[Frame | Fragment]:
    return list(client.watch(job, encoding=encoding, from_frame=from_frame))


def test_png_is_lossless_and_stable(client: Client, job: str) -> None:
    first, second = watched(client, job, "png"), watched(client, job, "png")
    assert [f.data for f in first] == [f.data for f in second]
    for frame in first:
        assert isinstance(frame, Frame)
        assert np.array_equal(frame.pixels, picture(3, frame.index, 64, 48))


def test_jpeg_is_close_and_stable(client: Client, job: str) -> None:
    first, second = watched(client, job, "jpeg"), watched(client, job, "jpeg", from_frame=5)
    assert [f.data for f in first][5:] == [f.data for f in second]
    assert isinstance(first[0], Frame)
    error = np.abs(np.array(Image.open(BytesIO(first[0].data))).astype(int) - picture(3, 0, 64, 48))
    assert error.mean() < 8


def decoded(data: bytes, kind: str) -> list[np.ndarray]:
    with av.open(BytesIO(data), format=kind) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize(("encoding", "kind"), [("h264-fmp4", "mp4"), ("h264-annex-b", "h264")])
def test_h264_plays_from_every_fragment(client: Client, job: str, encoding: str, kind: str) -> None:
    fragments = watched(client, job, encoding)
    assert [(f.first_index, f.frame_count) for f in fragments if isinstance(f, Fragment)] == [
        (0, 4),
        (4, 4),
        (8, 2),
    ]
    whole = [f for f in fragments if isinstance(f, Fragment)]
    assert whole[0].codec.startswith("avc1.")
    assert len(decoded(whole[0].init + b"".join(f.data for f in whole), kind)) == 10
    tail = [f for f in watched(client, job, encoding, from_frame=5) if isinstance(f, Fragment)]
    assert [f.first_index for f in tail] == [4, 8]
    frames = decoded(tail[0].init + b"".join(f.data for f in tail), kind)
    assert len(frames) == 6
    assert np.abs(frames[0].astype(int) - picture(3, 4, 64, 48)).mean() < 40


def test_fragments_carry_their_time(client: Client, job: str) -> None:
    fragments = [f for f in watched(client, job, "h264-fmp4") if isinstance(f, Fragment)]
    data = fragments[0].init + fragments[1].data
    with av.open(BytesIO(data)) as container:
        times = [float(frame.time) for frame in container.decode(video=0)]
    assert times == pytest.approx([(4 + k) / 8 for k in range(4)])


def test_artifacts_read_from_any_byte(client: Client, job: str) -> None:
    raw = b"".join(client.read_artifact(f"{job}/artifacts/0"))
    assert raw == b"".join(picture(3, i, 64, 48).tobytes() for i in range(10))
    assert b"".join(client.read_artifact(f"{job}/artifacts/0", offset=1000)) == raw[1000:]
    video = b"".join(client.read_artifact(f"{job}/artifacts/1"))
    assert len(decoded(video, "mp4")) == 10


def test_previews_come_when_asked(client: Client) -> None:
    seen: list[bytes] = []

    def event(e: object) -> None:
        if e.WhichOneof("event") == "preview":  # type: ignore[attr-defined]
            seen.append(e.preview.jpeg)  # type: ignore[attr-defined]

    client.generate(family="faulty", steps=5, params={"step_s": 0.1}, previews=True, on_event=event).wait()
    assert seen and Image.open(BytesIO(seen[0])).size == (16, 16)
