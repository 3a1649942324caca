from hypothesis import given
from hypothesis import strategies as st
from wancore_talking.timeline import Pace, timeline, whole

paces = st.tuples(st.integers(1, 20), st.integers(0, 19), st.booleans()).map(
    lambda p: Pace(4 * p[0] + 1, 4 * min(p[1], p[0] - 1) + 1, p[2])
)


@given(st.integers(1, 400), st.integers(1, 400), paces, st.sampled_from([0, 3]))
def test_every_frame_leaves_once(length, limit, pace, trimmed):
    made = timeline([length], limit, pace, lambda lengths: lengths[0] - trimmed)
    sent = [f for w in made.windows for f in range(w.start + w.known, w.start + w.frames - w.spare)]
    assert sent == list(range(made.frames))
    assert min(limit, length) - trimmed <= made.frames <= min(limit, length)
    assert [w.index for w in made.windows] == list(range(len(made.windows)))
    assert [w.last for w in made.windows] == [False] * (len(made.windows) - 1) + [True]
    assert all(w.frames % 4 == 1 and w.frames <= pace.window for w in made.windows)
    for before, after in zip(made.windows, made.windows[1:], strict=False):
        assert after.start + after.known == before.start + before.frames
        assert after.known == pace.motion


@given(st.integers(1, 400), paces)
def test_a_short_last_window_is_no_longer_than_it_must_be(length, pace):
    made = timeline([length], length, Pace(pace.window, pace.motion, True), lambda lengths: lengths[0])
    last = made.windows[-1]
    if last.index:
        assert last.spare < 4 or last.frames == pace.motion + 4


def test_the_published_example():
    """120 frames by 81 with 9 taken over: 0..80, then 72..152, of which 48 are sent anew up to 119."""
    made = timeline([120], 120, Pace(81, 9), lambda lengths: lengths[-1])
    assert [(w.start, w.frames, w.known, w.spare) for w in made.windows] == [(0, 81, 0, 0), (72, 81, 9, 33)]
    short = timeline([120], 120, Pace(81, 9, True), lambda lengths: lengths[-1])
    assert [(w.start, w.frames, w.spare) for w in short.windows] == [(0, 81, 0), (72, 49, 1)]


def test_sound_a_little_longer_than_a_window_makes_two():
    made = timeline([82], 1000, Pace(81, 9), lambda lengths: lengths[-1])
    assert len(made.windows) == 2 and made.frames == 82 and made.turned == 1


@given(st.integers(1, 500))
def test_whole(frames):
    assert whole(frames) % 4 == 1 and 0 <= whole(frames) - frames < 4
