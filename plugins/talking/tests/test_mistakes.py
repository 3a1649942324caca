"""What a user gets wrong: one sentence that names the field, the value and what is accepted."""

from __future__ import annotations

import shutil

import av
import numpy as np
import pytest

from plugins.talking.tests.tiny import adapter_weights, speech, write_module, write_wav
from tests.engine.tiny import engine
from wancore.errors import CheckpointError, InvalidInput, WancoreError

both = pytest.mark.parametrize("family", ["infinitetalk", "multitalk"])


@pytest.fixture(scope="module")
def refusal():
    """The error of a request, which must come before any weights are loaded."""
    fresh = engine()

    def of(request):
        with pytest.raises(WancoreError) as caught:
            next(fresh.generate(request))
        assert "\n" not in str(caught.value)
        return caught.value

    return of


@both
@pytest.mark.parametrize(
    ("params", "field", "accepted"),
    [
        ({"motion_frame": 13}, "params.motion_frame", "less than the window"),
        ({"motion_frame": 8}, "params.motion_frame", "4n + 1"),
        ({"window": 12}, "params.window", "4n + 1"),
        ({"boxes": [[0, 0, 9, 9]]}, "params.boxes", "two boxes"),
        ({"boxes": [[0, 0, 9], [9, 0, 9, 9]]}, "params.boxes", "col_max"),
        ({"boxes": [[0, 0, 9, float("nan")], [9, 0, 9, 9]]}, "params.boxes.0.3", "finite"),
        ({"boxes": [[0, 0, 9, 9], [9, 0, 9, float("inf")]]}, "params.boxes.1.3", "finite"),
        ({"boxes": [[2, 2, 40, 40], [2, 30, 40, 60]]}, "params.boxes", "do not overlap"),
        ({"boxes": [[2, 2, 40, 30], [2, 30, 40, 90]]}, "params.boxes[1]", "within 48 rows, 64 columns"),
        ({"boxes": [[30, 2, 20, 30], [2, 30, 40, 60]]}, "params.boxes[0]", "row_min, col_min"),
        ({"speakers": 1, "boxes": [[2, 2, 9, 9], [9, 9, 20, 20]]}, "params.speakers", "2 with"),
        ({"audio_type": "para"}, "params.audio_type", "nothing with one audio file"),
        ({"audio_scal": 3}, "params.audio_scal", "audio_scale"),
    ],
)
def test_parameters(family, params, field, accepted, studio, refusal):
    error = refusal(studio(family).request(params=params))
    assert isinstance(error, InvalidInput)
    assert error.field == field
    assert accepted in error.accepted


@both
def test_boxes_too_small_to_be_seen(family, studio):
    each = studio(family)
    request = each.request(params={"boxes": [[2, 2, 4, 4], [20, 30, 40, 60]]})
    with pytest.raises(InvalidInput, match=r"params\.boxes\[0\].*large enough"):
        list(each.engine.generate(request))


@both
@pytest.mark.parametrize(
    ("roles", "field"),
    [
        ((), "inputs.audio"),
        (("audio", "audio[1]", "audio[0]"), "inputs.audio[0]"),
        (("audio[2]",), "inputs.audio[2]"),
        (("audio[0]", "audio[1]"), "params.audio_type"),
        (("sound",), "inputs.sound"),
    ],
)
def test_speakers(family, roles, field, studio, refusal):
    each = studio(family)
    inputs = {"image": each.picture, **{role: each.wav(0.6) for role in roles}}
    assert refusal(each.request(inputs=inputs)).field == field


@both
def test_no_picture(family, studio, refusal):
    each = studio(family)
    error = refusal(each.request(inputs={"audio": each.wav(0.6)}))
    assert error.field == "inputs.image"


def test_image_beside_video(studio, refusal):
    each = studio("infinitetalk")
    inputs = {"audio": each.wav(0.6), "image": each.picture, "video": each.picture}
    assert refusal(each.request(inputs=inputs)).field == "inputs.video"


def test_multitalk_takes_no_video(studio, refusal):
    each = studio("multitalk")
    assert (
        refusal(each.request(inputs={"audio": each.wav(0.6), "video": each.picture})).field == "inputs.video"
    )


@both
def test_unequal_sound_on_one_axis(family, studio, refusal):
    each = studio(family)
    inputs = {"image": each.picture, "audio[0]": each.wav(1.0), "audio[1]": each.wav(0.7)}
    error = refusal(each.request(inputs=inputs, params={"audio_type": "para"}))
    assert error.field == "inputs.audio[1]" and "1.00 seconds" in error.accepted and "0.70" in error.accepted


@both
def test_sound_too_short_to_measure(family, studio, refusal):
    error = refusal(studio(family).request(0.3))
    assert error.field == "inputs.audio" and "at least 0.4 seconds" in error.accepted


@both
def test_sound_that_is_none(family, studio, tmp_path, refusal):
    bad = tmp_path / "speech.mp3"
    bad.write_text("no sound at all")
    each = studio(family)
    error = refusal(each.request(inputs={"image": each.picture, "audio": bad}))
    assert error.field == "inputs.audio" and str(bad) in str(error)


@both
def test_size_and_guidance(family, studio, refusal):
    each = studio(family)
    assert refusal(each.request(size="40x40")).field == "size"
    assert refusal(each.request(guidance=(3.0, 4.0))).field == "guidance"


@both
def test_what_the_sound_or_the_family_decides(family, studio, refusal):
    each = studio(family)
    windows = refusal(each.request(windows={"frames": 13, "overlap": 4}))
    assert windows.field == "windows" and "params.window" in windows.accepted
    slow = refusal(each.request(0.5, fps=1.5))
    assert slow.field == "fps" and "at least 2.00" in slow.accepted


@both
def test_samples_far_beyond_full_scale(family, studio, tmp_path, refusal):
    """Their loudness cannot be measured, so they would be heard as they are."""
    path = tmp_path / "huge.wav"
    samples = (speech(0.6) * np.float32(1e30)).tobytes()
    with av.open(str(path), "w") as file:
        stream = file.add_stream("pcm_f32le", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.frombuffer(samples, np.float32)[None], "flt", "mono")
        frame.sample_rate = 16_000
        file.mux(stream.encode(frame))
    each = studio(family)
    error = refusal(each.request(inputs={"image": each.picture, "audio": path}))
    assert error.field == "inputs.audio" and "full scale" in error.accepted


@both
def test_a_module_for_a_larger_model(family, studio, refusal):
    each = studio(family)
    wide = write_module(each.folder, f"{family}-wide", dim=512)
    assert "width 512, not 256" in str(refusal(each.request(modules=(str(wide),))))
    deep = write_module(each.folder, f"{family}-deep", blocks=3)
    assert "3 blocks, not 2" in str(refusal(each.request(modules=(str(deep),))))


def test_keys_do_not_tell_the_family(studio, tmp_path, refusal):
    """The name of the file does, else the user must."""
    each = studio("infinitetalk")
    nameless = shutil.copy(each.module, tmp_path / "adapter.safetensors")
    error = refusal(each.request(modules=(str(nameless),)))
    assert isinstance(error, CheckpointError)
    assert "infinitetalk" in str(error) and "multitalk" in str(error) and "--family" in str(error)
    chosen = each.request(modules=(str(nameless),), family="multitalk")
    assert next(engine().generate(chosen)).family == "multitalk"


def test_a_file_of_the_wrapper(studio, tmp_path):
    """Its audio projection has another name."""
    from safetensors.numpy import save_file

    renamed = {
        name.replace("audio_proj.", "multitalk_audio_proj."): array
        for name, array in adapter_weights().items()
    }
    path = tmp_path / "Wan2_1-InfiniteTalk_Single_fp16.safetensors"
    save_file(renamed, str(path))
    each = studio("infinitetalk")
    assert len(each.made(0.5, steps=1, modules=(str(path),)).frames) == 12


@both
def test_what_only_a_lead_decides(family, studio, refusal):
    each = studio(family)
    use = {
        "name": family,
        "modules": (str(each.module),),
        "inputs": {"audio": each.wav(0.6)},
        "params": {"apg": True},
    }
    request = each.request(
        modules=(), family="wan", inputs={"image": each.picture}, frames=9, attachments=(use,)
    ).model_copy(update={"params": {}})
    error = refusal(request)
    assert error.field == "params.apg" and "lead" in error.accepted


def test_no_speech_encoder(studio, tmp_path):
    each = studio("infinitetalk")
    bare = shutil.copytree(each.model, tmp_path / "bare")
    (bare / "wav2vec2-chinese-base.safetensors").unlink()
    with pytest.raises(CheckpointError, match="audio encoder"):
        list(engine().generate(each.request(model=str(bare))))


def test_a_text_model_as_the_base(studio, tmp_path, refusal):
    from plugins.talking.tests.tiny import write_speech_encoder
    from wancore.testing import make_tiny

    each = studio("infinitetalk")
    text = make_tiny("t2v", tmp_path / "t2v")
    write_speech_encoder(text / "wav2vec2.safetensors")
    assert "image-to-video" in str(refusal(each.request(model=str(text))))


def test_a_wav_without_samples(studio, tmp_path, refusal):
    each = studio("infinitetalk")
    empty = write_wav(tmp_path / "empty.wav", np.zeros(0, np.float32))
    assert refusal(each.request(inputs={"image": each.picture, "audio": empty})).field == "inputs.audio"
