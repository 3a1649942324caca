"""Both families from files to frames, on tiny random weights."""

from __future__ import annotations

import gc
import weakref
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
import torch

from tests.engine.tiny import Made, engine
from wancore.events import Accepted, Frames, Progress, SoundTrack

both = pytest.mark.parametrize("family", ["infinitetalk", "multitalk"])


def length(family: str, seconds: float) -> int:
    """Frames of a video whose sound lasts so long, at 25 frames per second."""
    return int(seconds * 25) - {"infinitetalk": 0, "multitalk": 3}[family]


@both
def test_windows_leave_when_they_are_done(family, studio):
    made = studio(family).made(1.0)
    accepted = made.events[0]
    assert isinstance(accepted, Accepted)
    assert (accepted.family, accepted.fps, accepted.solver) == (family, Fraction(25), "euler")
    assert accepted.frames == length(family, 1.0) == len(made.frames)
    assert made.frames.std() > 1
    windows = [(e.window, "step") for e in made.events if isinstance(e, Progress)]
    assert [w for w, _ in windows] == [0, 0, 1, 1, 2, 2]
    steps_before = [
        sum(isinstance(e, Progress) for e in made.events[:i])
        for i, e in enumerate(made.events)
        if isinstance(e, Frames)
    ]
    counts = [len(e.frames) for e in made.events if isinstance(e, Frames)]
    by_window = {n: sum(c for c, s in zip(counts, steps_before, strict=True) if s == n) for n in (2, 4, 6)}
    assert by_window == {2: 13, 4: 8, 6: length(family, 1.0) - 21}


@both
def test_same_request_same_video(family, studio):
    each = studio(family)
    made, again = each.made(0.7), Made.of(engine().generate(each.request(0.7)))
    assert np.array_equal(made.frames, again.frames)
    assert not np.array_equal(made.frames, each.made(0.7, seed=8).frames)


@both
def test_a_merged_file_is_the_model_with_its_module(family, studio):
    each = studio(family)
    alone = each.made(0.7)
    merged = each.request(0.7, model=str(each.merged), modules=(), family=family)
    together = Made.of(engine().generate(merged))
    different = np.abs(alone.frames.astype(int) - together.frames.astype(int))
    assert different.max() <= 2, "files lie differently in memory, which moves the last bit"


@both
def test_the_sound_matters(family, studio):
    each = studio(family)
    inputs = {"image": each.picture, "audio": each.wav(0.7, seed=1)}
    assert not np.array_equal(each.made(0.7).frames, each.made(inputs=inputs).frames)


@both
def test_two_speakers(family, studio):
    """Whose place is whose matters, and who speaks first."""
    each = studio(family)
    inputs = {"image": each.picture, "audio[0]": each.wav(0.4), "audio[1]": each.wav(0.4, 1)}

    def frames(boxes=None):
        params = {"audio_type": "add", "boxes": boxes} if boxes else {"audio_type": "add"}
        return each.made(inputs=inputs, steps=1, params=params).frames

    left, right = [0, 0, 48, 32], [0, 32, 48, 64]
    halves, swapped = frames(), frames([right, left])
    stacked = frames([[0, 0, 24, 64], [24, 0, 48, 64]])
    assert len(halves) == length(family, 0.8)
    for one, other in combinations((halves, swapped, stacked), 2):
        assert not np.array_equal(one, other)


@both
def test_one_of_two_people_is_silent(family, studio):
    each = studio(family)
    picture, sound = {"image": each.picture}, each.wav(0.5)
    right = each.made(inputs={**picture, "audio[1]": sound}, steps=1)
    left = each.made(inputs={**picture, "audio[0]": sound}, steps=1, params={"speakers": 2})
    assert right.frames.shape == left.frames.shape
    assert not np.array_equal(right.frames, left.frames)


@both
def test_silence_is_accepted(family, studio, tmp_path):
    from plugins.talking.tests.tiny import write_wav

    each = studio(family)
    quiet = write_wav(tmp_path / "quiet.wav", np.zeros(11_200, np.float32))
    inputs = {"image": each.picture, "audio": quiet}
    assert len(each.made(inputs=inputs, steps=1).frames) == length(family, 0.7)


@both
def test_the_video_has_the_sound_in_it(family, studio, tmp_path, monkeypatch):
    """From the command line; MAX_STEPS and MOTION_FRAME are defaults there."""
    from typer.testing import CliRunner

    from wancore.cli.app import build
    from wancore.media import read_video
    from wancore.media.audio import read_audio
    from wancore.media.metadata import read_metadata

    monkeypatch.setenv("MAX_STEPS", "1")
    monkeypatch.setenv("MOTION_FRAME", "6")
    each, out = studio(family), tmp_path / "out.mp4"
    given = ["generate", "--model", str(each.model), "--module", str(each.module), "--size", "32x32"]
    inputs = ["--input", f"image={each.picture}", "--input", f"audio={each.wav(0.8)}", "--seed", "7"]
    run = CliRunner().invoke(build(), [*given, *inputs, "--param", "window=13", "--out", str(out), "--quiet"])
    assert run.exit_code == 0, run.output
    video = read_video(out)
    assert (len(video.frames), video.fps) == (length(family, 0.8), 25)
    heard = read_audio(out)
    assert len(heard) / 16_000 == pytest.approx(length(family, 0.8) / 25, abs=0.13)
    assert np.abs(heard).max() > 0.05
    made = read_metadata(out)
    assert made["family"] == family and made["request"]["steps"] == 1
    assert made["digital_source_type"].endswith("/trainedAlgorithmicMedia")


def test_the_mark_can_be_left_out(studio, tmp_path):
    from typer.testing import CliRunner

    from wancore.cli.app import build
    from wancore.errors import InvalidInput
    from wancore.media.metadata import read_metadata

    each, out = studio("infinitetalk"), tmp_path / "out.mp4"
    given = ["generate", "--model", str(each.model), "--module", str(each.module), "--size", "32x32"]
    inputs = ["--input", f"image={each.picture}", "--input", f"audio={each.wav(0.5)}", "--steps", "1"]
    run = CliRunner().invoke(build(), [*given, *inputs, "--out", str(out), "--quiet", "--no-provenance"])
    assert run.exit_code == 0, run.output
    with pytest.raises(InvalidInput, match="has none"):
        read_metadata(out)


def test_motion_frame_comes_from_the_settings(studio):
    """3 windows with 9 frames taken over, 2 with 5."""
    each, runs = studio("infinitetalk"), engine(motion_frame=9)
    asked = each.request(0.75, steps=1)
    left_open = asked.model_copy(update={"params": {"window": 13}})
    for request, windows in ((asked, 2), (left_open, 3)):
        events = runs.generate(request)
        assert len({e.window for e in events if isinstance(e, Progress)}) == windows


@both
def test_guidance_costs_only_the_passes_it_needs(family, studio, monkeypatch):
    from wancore.engine.expert import LoadedExpert

    calls = []
    predict = LoadedExpert.predict

    def counted(self, inputs):
        calls.append(inputs.scope.name)
        return predict(self, inputs)

    monkeypatch.setattr(LoadedExpert, "predict", counted)
    each = studio(family)
    for guidance, audio, passes in [
        (1.0, 1.0, {"positive"}),
        (1.0, 2.0, {"positive", "drop_audio"}),
        (5.0, 1.0, {"positive", "drop_text"}),
        (4.0, 4.0, {"positive", "unconditional"}),
        (5.0, 4.0, {"positive", "drop_text", "unconditional"}),
    ]:
        calls.clear()
        events = each.engine.generate(each.request(0.5, guidance=(guidance,), params={"audio_scale": audio}))
        next(e for e in events if isinstance(e, Progress))
        events.close()
        assert set(calls) == passes
        assert len(calls) == len(passes)


@both
def test_audio_keys_are_made_once_a_window(family, studio, monkeypatch):
    from wancore_talking.projection import AudioProjection

    calls = []
    forward = AudioProjection.forward

    def counted(self, windows):
        calls.append(len(windows))
        return forward(self, windows)

    monkeypatch.setattr(AudioProjection, "forward", counted)
    each = studio(family)
    asked = each.request(0.75, steps=3, guidance=(5.0,), params={"audio_scale": 4.0})
    for _ in each.engine.generate(asked):
        pass
    assert len(calls) == 2 * 2, "one with sound and one without for each of two windows"


@pytest.mark.parametrize(("family", "looks"), [("infinitetalk", 1), ("multitalk", 3)])
def test_an_image_is_encoded_once_for_a_request(family, looks, studio, monkeypatch):
    """MultiTalk's later windows look at frames of their own."""
    from wancore_talking import stills

    known, whole = [], stills.still
    monkeypatch.setattr(stills, "still", lambda k, *rest: known.append(k.shape[1]) or whole(k, *rest))
    each = studio(family)
    windows = {e.window for e in each.engine.generate(each.request(1.0, steps=1)) if isinstance(e, Progress)}
    assert len(windows) == 3 and known == [1, 5, 5][:looks]


@both
def test_only_what_hears_two_speakers_maps_where_they_are(family, studio, monkeypatch):
    """Not requests of one speaker, nor the pass without sound."""
    from wancore_talking import attention

    from wancore.testing import sizes

    maps = []
    whole = attention.query_positions
    monkeypatch.setattr(attention, "query_positions", lambda seen: maps.append(len(seen)) or whole(seen))
    each = studio(family)
    one = {"audio": each.wav(0.5)}
    two = {"audio[0]": each.wav(0.5), "audio[1]": each.wav(0.5, 1)}
    for sound, params, count in ((one, {}, 0), (two, {"audio_type": "para"}, sizes.LAYERS)):
        maps.clear()
        request = each.request(inputs={"image": each.picture, **sound}, steps=1, params=params)
        for _ in each.engine.generate(request):
            pass
        assert len(maps) == count


@both
def test_short_sound_makes_one_short_window(family, studio):
    made = studio(family).made(0.5, steps=1, params={"window": 81, "motion_frame": None})
    assert len(made.frames) == 12
    assert max(e.window for e in made.events if isinstance(e, Progress)) == 0


@both
def test_frames_bound_the_length(family, studio):
    assert len(studio(family).made(1.0, steps=1, frames=15).frames) == 15


@both
def test_a_short_last_window_brings_as_many_frames(family, studio):
    each = studio(family)
    whole, short = each.made(1.0), each.made(1.0, params={"short_last_window": True})
    assert whole.frames.shape == short.frames.shape
    assert np.array_equal(whole.frames[:13], short.frames[:13])


@both
def test_apg_and_a_step_cache(family, studio):
    each = studio(family)
    plain = each.made(0.5, guidance=(5.0,))
    assert not np.array_equal(plain.frames, each.made(0.5, guidance=(5.0,), params={"apg": True}).frames)
    step_cache = {"rescaled": False, "threshold": 9, "embedding": "e0", "start_step": 1}
    methods = [{"name": "teacache", "params": step_cache}]
    assert not np.array_equal(plain.frames, each.made(0.5, guidance=(5.0,), methods=methods).frames)


@both
def test_attached_to_the_base_family(family, studio):
    """The base model leads with its own guidance and length; the sound is cut to its clip."""
    each = studio(family)
    inputs = {"audio": each.wav(1.0)}
    use = {"name": family, "modules": (str(each.module),), "inputs": inputs}
    fields = {"modules": (), "family": "wan", "inputs": {"image": each.picture}, "frames": 9, "steps": 1}

    def frames(**attached):
        request = each.request(**fields, attachments=({**use, **attached},)).model_copy(update={"params": {}})
        return Made.of(each.engine.generate(request)).frames

    heard = frames()
    assert len(heard) == 9
    assert not np.array_equal(heard, frames(inputs={"audio": each.wav(1.0, 3)}))
    assert not np.array_equal(heard, frames(params={"audio_strength": 0.5}))


def new_bytes() -> int:
    """Of all tensors made since `gc.freeze`, views counted once."""
    gc.collect()
    plain = (torch.Tensor, torch.nn.Parameter)  # not what a compiler traces with
    tensors = (t for t in gc.get_objects() if type(t) in plain and not t.is_meta)
    return sum(
        {
            s.data_ptr(): s.nbytes()
            for s in (t.untyped_storage() for t in tensors if t.layout is torch.strided)
        }.values()
    )


@both
def test_memory_stays_flat(family, studio):
    """However many windows came before, as much is held when the next one begins."""
    each, held = studio(family), {}
    each.made(0.7)  # has everything loaded
    gc.freeze()
    try:
        for event in each.engine.generate(each.request(2.5, steps=1)):
            if isinstance(event, Progress):
                held[event.window] = new_bytes()
    finally:
        gc.unfreeze()
    later = [held[w] for w in range(1, max(held))]
    assert len(later) >= 5 and len(set(later)) == 1


@both
def test_nobody_holds_the_sound_while_windows_are_made(family, studio):
    each, heard = studio(family), None
    for event in each.engine.generate(each.request(0.7, steps=1)):
        if isinstance(event, SoundTrack):
            heard = weakref.ref(event.samples)
        if isinstance(event, Progress):
            assert heard is not None and heard() is None
            break
    else:
        pytest.fail("no step was made")


@both
def test_half_precision(family, studio):
    """In bfloat16, two speakers: nothing falls back to, or stumbles over, another type."""
    each = studio(family)
    inputs = {"image": each.picture, "audio[0]": each.wav(0.6), "audio[1]": each.wav(0.6, 1)}
    params = {"audio_type": "para", "apg": True}
    request = each.request(inputs=inputs, guidance=(3.0,), steps=1, params=params)
    assert Made.of(engine(dtype="bfloat16").generate(request)).frames.std() > 1


def test_a_video_to_speak_anew(studio, tmp_path):
    """Every window starts from the source's own frame, and reads it."""
    from wancore.media import Mp4Writer

    each, changing = studio("infinitetalk"), tmp_path / "source.mp4"
    pictures = np.random.default_rng(0).integers(0, 255, (30, 32, 32, 3), dtype=np.uint8)
    pictures[:] = pictures[:, :1, :1]
    with Mp4Writer(changing, 25, (32, 32)) as writer:
        writer.write(pictures)
    still = tmp_path / "still.mp4"
    with Mp4Writer(still, 25, (32, 32)) as writer:
        writer.write(np.repeat(pictures[:1], 30, axis=0))
    sound, own = each.wav(0.84), {"color_correction": 0}
    one, other = (
        each.made(inputs={"video": source, "audio": sound}, steps=1, params=own).frames.astype(int)
        for source in (changing, still)
    )
    assert one.shape == other.shape
    assert np.abs(one[:13] - other[:13]).mean() < 3, "the first window starts from the same picture"
    assert np.abs(one[13:] - other[13:]).mean() > 3
