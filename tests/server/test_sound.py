"""Sound as an input and with the result, and the mark in what comes out."""

from __future__ import annotations

import wave
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from wancore_client import Client, InvalidRequest, JobFailed
from wancore_client.output import output
from wancore_proto.v1 import asset_service_pb2, frames_pb2

from tests.server.harness import Server
from wancore.media.audio import read_audio
from wancore.media.metadata import read_metadata
from wancore.media.provenance import KEY, SOURCE_TYPE
from wancore.media.video import read_video

Kind = asset_service_pb2.Asset.Kind
FORMATS = [
    ("wav", "pcm_s16le", False), ("mp3", "libmp3lame", False), ("flac", "flac", False),
    ("ogg", "libopus", False), ("mp4", "aac", False), ("adts", "aac", False), ("mp4", "aac", True),
    ("matroska", "libopus", True),
]  # fmt: skip


def sound_file(path: Path, form: str, codec: str, pictures: bool) -> Path:
    """Half a second of a stereo tone, with pictures beside it or without."""
    rate = 48_000
    tone = (np.sin(np.arange(rate // 2) / 20) * 9000).astype(np.int16)
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=rate, layout="stereo")
        if pictures:
            video = container.add_stream("libx264", rate=8)
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            for i in range(4):
                picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), i * 40, np.uint8), format="rgb24")
                container.mux(video.encode(picture))
            container.mux(video.encode(None))
        frame = av.AudioFrame.from_ndarray(np.repeat(tone, 2)[None].copy(), format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        size = {"aac": 1024, "libmp3lame": 1152, "libopus": 960}.get(codec, 4096)
        resampler = av.AudioResampler(stream.format.name, "stereo", rate, frame_size=size)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("form", "codec", "pictures"), FORMATS)
def test_a_worker_hears_what_the_file_holds(
    server: Server, client: Client, tmp_path: Path, form: str, codec: str, pictures: bool
) -> None:
    path = sound_file(tmp_path / "speech", form, codec, pictures)
    name = client.upload(path)
    asset = client.call(client.asset_calls.GetAsset, asset_service_pb2.GetAssetRequest(name=name))
    assert asset.kind == (Kind.KIND_VIDEO if pictures else Kind.KIND_AUDIO)
    clean = next((server.data / "assets").glob(f"{name.removeprefix('assets/')}?*"))
    assert np.array_equal(read_audio(clean), read_audio(path))
    if pictures:
        assert len(read_video(clean).frames) == asset.frame_count == 4
    assert client.generate(family="faulty", frames=1, inputs={"audio": name}).wait().frame_count == 1


def test_what_is_no_sound_is_refused(client: Client, tmp_path: Path) -> None:
    (tmp_path / "hurt.wav").write_bytes(b"RIFF\0\0\0\0WAVEfmt " + b"\1" * 100)
    with pytest.raises(InvalidRequest) as caught:
        client.upload(tmp_path / "hurt.wav")
    assert caught.value.reason == "ASSET_UNREADABLE" and "sound" in str(caught.value)
    assert str(caught.value).startswith("hurt.wav: ")
    (tmp_path / "text.wav").write_bytes(b"no sound at all")
    with pytest.raises(InvalidRequest) as caught:
        client.create(family="faulty", inputs={"audio": tmp_path / "text.wav"})
    assert caught.value.fields == {"spec.inputs.audio": "must be audio or video"}


def test_a_video_without_sound_fails_as_speech(client: Client, tmp_path: Path) -> None:
    with av.open(str(tmp_path / "mute.mp4"), "w") as container:
        video = container.add_stream("libx264", rate=8)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        container.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))))
        container.mux(video.encode(None))
    with pytest.raises(JobFailed, match="no audio stream"):
        client.generate(family="faulty", inputs={"audio": tmp_path / "mute.mp4"}).wait()


def test_the_result_can_be_heard(client: Client, tmp_path: Path) -> None:
    """As a file before the first frame, in the MP4 that the server makes, and in the client's."""
    generation = client.generate(
        family="faulty", frames=10, keep=["h264-fmp4"], size=(64, 48), params={"sound_s": 1.25}
    )
    with output(str(tmp_path / "ours.mp4")) as sink:
        for frame in generation.frames():
            if frame.index == 0:
                wav = generation.sound()
                assert wav is not None
                sink.hear(wav)
            sink.write(frame, generation.header)
    with wave.open(BytesIO(wav)) as file:
        assert file.getframerate() == 16_000 and file.getnframes() == 20_000
    made = [a for a in client.job(generation.job).artifacts if a.encoding == frames_pb2.ENCODING_H264_FMP4]
    (tmp_path / "theirs.mp4").write_bytes(b"".join(client.read_artifact(made[0].name)))
    tone = np.sin(np.arange(20_000) / 5).astype(np.float32) / 2
    for name in ("ours", "theirs"):
        heard = read_audio(tmp_path / f"{name}.mp4")
        assert abs(len(heard) - 20_000) <= 2048 and len(read_video(tmp_path / f"{name}.mp4").frames) == 10
        both = min(len(heard), 20_000) - 2048
        # Coded with losses, and in its place to the sample; the first packet has no lead-in.
        assert np.corrcoef(heard[2048:both], tone[2048:both])[0, 1] > 0.99, name
        told = read_metadata(tmp_path / f"{name}.mp4")
        assert told[KEY] == SOURCE_TYPE and told["job"] == generation.job


def test_a_silent_video_has_no_sound(client: Client) -> None:
    generation = client.generate(family="faulty", frames=1)
    generation.wait()
    assert generation.sound() is None
