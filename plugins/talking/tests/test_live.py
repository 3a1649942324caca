"""Speech that arrives while the video is made."""

from __future__ import annotations

import threading
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wancore_talking.live import LiveTimeline, sample_at
from wancore_talking.timeline import Pace

from plugins.talking.tests.tiny import speech
from wancore.engine.generation import Generation
from wancore.errors import InvalidInput
from wancore.events import Accepted, BlockDone, BlockRetried, Frames, Steered
from wancore.live import BlockFailed, Live, LiveClosed, Steering

both = pytest.mark.parametrize("family", ["infinitetalk", "multitalk"])
WINDOW, MOTION = 13, 5


def live_request(each, **fields):
    return each.request(inputs={"image": each.picture}, live=("audio",), **fields)


def fed(seconds, piece=None, seed=0):
    """A live request's sound, all of it, in pieces of so many samples."""
    live, samples = Live(), speech(seconds, seed)
    for start in range(0, len(samples), piece or len(samples)):
        live.push(samples[start : start + (piece or len(samples))])
    live.end()
    return live


def frames_of(events):
    return np.concatenate([e.frames for e in events if isinstance(e, Frames)])


@given(
    st.integers(1, 60), st.sampled_from([5, 9, 13]), st.sampled_from([1, 5]), st.booleans(),
    st.none() | st.integers(1, 40),
)  # fmt: skip
def test_every_frame_of_the_sound_comes_once(frames, window, motion, short, limit):
    motion = min(motion, window - 4)
    live = Live()
    live.push(np.zeros(sample_at(frames, Fraction(25)), np.float32))
    live.end()
    windows = list(LiveTimeline(live, ("audio",), Fraction(25), Pace(window, motion, short), limit).windows)
    made = [f for w in windows for f in range(w.start + w.known, w.start + w.frames - w.spare)]
    assert made == list(range(min(frames, limit or frames)))
    assert [w.index for w in windows] == list(range(len(windows)))
    assert all(w.frames % 4 == 1 and w.frames <= window for w in windows)


@both
def test_frames_come_window_by_window_whatever_the_pieces(family, studio):
    each = studio(family)
    request = live_request(each, steps=1)
    wholes = [list(each.engine.generate(request, fed(1.0, piece))) for piece in (None, 700)]
    first = frames_of(wholes[0])
    assert len(first) == 25 and all(np.array_equal(frames_of(events), first) for events in wholes[1:])
    done = [e for e in wholes[0] if isinstance(e, BlockDone)]
    assert [(e.block, e.first_frame, e.frames) for e in done] == [(0, 0, 13), (1, 13, 8), (2, 21, 4)]
    accepted = next(e for e in wholes[0] if isinstance(e, Accepted))
    assert accepted.frames is None


def test_a_window_leaves_before_the_next_is_spoken(studio):
    """The first block needs its own sound and that of two more frames; other sound, other lips."""
    each, live, events = studio("infinitetalk"), Live(), []
    stream = each.engine.generate(live_request(each, steps=1), live)
    live.push(speech(0.6))
    for event in stream:
        events.append(event)
        if isinstance(event, BlockDone) and event.block == 0:
            live.push(speech(0.1, seed=2))
            live.end()
    other = list(each.engine.generate(live_request(each, steps=1), fed(0.7)))
    assert np.array_equal(frames_of(events)[:13], frames_of(other)[:13])
    assert not np.array_equal(frames_of(events)[13:], frames_of(other)[13:])


def test_words_change_between_blocks(studio):
    each, live = studio("infinitetalk"), fed(0.7)
    plain = frames_of(each.engine.generate(live_request(each, steps=1), fed(0.7)))
    events, stream = [], each.engine.generate(live_request(each, steps=1), live)
    for event in stream:
        events.append(event)
        if isinstance(event, BlockDone) and event.block == 0:
            live.steer(Steering("mine", prompt="somebody laughs"))
    steered = next(e for e in events if isinstance(e, Steered))
    assert (steered.id, steered.block, steered.error) == ("mine", 1, None)
    assert np.array_equal(frames_of(events)[:13], plain[:13])
    assert not np.array_equal(frames_of(events)[13:], plain[13:])


def broken_once(monkeypatch, times):
    """`Generation.decode` that fails in window 1, after the first of its frames."""
    decode, left = Generation.decode, [times]

    def failing(self, prepared, window, conditioning, latent):
        events = decode(self, prepared, window, conditioning, latent)
        if window.index == 1 and left[0]:
            left[0] -= 1
            yield next(events)
            raise RuntimeError("broken")
        return (yield from events)

    monkeypatch.setattr(Generation, "decode", failing)


def test_a_block_that_fails_is_made_again_from_the_same_state(studio, monkeypatch):
    """Fault 39."""
    each = studio("multitalk")
    whole = frames_of(each.engine.generate(live_request(each), fed(0.9)))
    broken_once(monkeypatch, 1)
    events = list(each.engine.generate(live_request(each), fed(0.9)))
    assert np.array_equal(frames_of(events), whole)
    assert [e for e in events if isinstance(e, BlockRetried)] == [BlockRetried(1, "RuntimeError")]
    assert [e.index for e in events if isinstance(e, Frames)] == sorted(
        {e.index for e in events if isinstance(e, Frames)}
    )


def test_a_block_that_fails_twice_ends_the_request(studio, monkeypatch):
    each, sent = studio("multitalk"), []
    broken_once(monkeypatch, 2)
    with pytest.raises(BlockFailed) as caught:
        for event in each.engine.generate(live_request(each, steps=1), fed(0.7)):
            sent.append(event)
    assert caught.value.block == 1 and len(frames_of(sent)) == 13


def test_no_block_begins_without_leave(studio):
    each, live = studio("infinitetalk"), fed(1.0)
    live.allow(1)
    done = []
    stream = each.engine.generate(live_request(each, steps=1), live)
    for event in stream:
        if isinstance(event, BlockDone):
            done.append(event.block)
            threading.Timer(0.1, live.close).start()  # the next block waits until then
            break
    with pytest.raises(LiveClosed):
        list(stream)
    assert done == [0]


def test_a_pause_holds_back_the_block_after_the_one_that_has_begun():
    live = Live()
    assert live.pause() == 0 and live.pause(False) == 0
    live.begin(0)
    assert live.pause() == 1


def test_a_lease_that_is_not_renewed_ends_the_wait():
    live = Live()
    live.renew(0.05)
    with pytest.raises(LiveClosed, match="lease"):
        live.await_sound("audio", 1)


def test_two_speakers(studio):
    each = studio("infinitetalk")
    live = Live(("audio[0]", "audio[1]"))
    for number in (0, 1):
        live.push(speech(0.6, seed=number), f"audio[{number}]")
    live.end()
    request = each.request(inputs={"image": each.picture}, live=("audio[0]", "audio[1]"),
                           params={"audio_type": "para"}, steps=1)  # fmt: skip
    assert len(frames_of(each.engine.generate(request, live))) == 15


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"live": ("voice",)}, "live"),
        ({"live": ("audio",), "audio": True}, "inputs.audio"),
        ({"live": ("audio[0]",), "other": True, "params": {"audio_type": "para"}}, "live"),
        ({"live": ("audio",), "previews": True}, "previews"),
        ({"live": ("audio",), "params": {"motion_frame": 13}}, "params.motion_frame"),
        ({"live": ("audio",), "image": False}, "inputs.video"),
    ],
)
def test_mistakes(studio, fields, field):
    each, fields = studio("infinitetalk"), dict(fields)
    inputs = {"image": each.picture} if fields.pop("image", True) else {"video": each.folder / "none"}
    if fields.pop("audio", False):
        inputs["audio"] = each.wav(0.6)
    if fields.pop("other", False):
        inputs["audio[1]"] = each.wav(0.6)
    with pytest.raises(InvalidInput) as caught:
        next(each.engine.generate(each.request(inputs=inputs, **fields), Live(fields["live"])))
        pytest.fail("nothing was refused")
    assert caught.value.field == field


def test_a_live_request_needs_what_feeds_it(studio):
    each = studio("infinitetalk")
    with pytest.raises(InvalidInput, match="live"):
        next(each.engine.generate(live_request(each)))
