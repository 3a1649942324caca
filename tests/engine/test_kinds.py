"""Every kind of base model, from its files to frames, on tiny random weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.engine.tiny import Made, Remembering, engine, small
from wancore.events import Accepted, Finished, Frames, Loading, Preview, Progress
from wancore.request import Request

KINDS = {
    "t2v": (),
    "i2v": ("image",),
    "flf2v": ("image", "last_image"),
    "t2v-a14b": (),
    "i2v-a14b": ("image",),
    "ti2v": (),
}


@pytest.fixture(scope="module")
def made() -> Callable[[Request], Made]:
    return Remembering(engine()).made


@pytest.mark.parametrize("kind", KINDS)
def test_same_request_same_video(kind, tiny, image, made):
    inputs = {role: image(role, 64, 48) for role in KINDS[kind]}
    size = {"size": "64x64"} if kind == "ti2v" else {}
    request = small(tiny(kind), inputs=inputs, **size)
    first, second = made(request), Made.of(engine().generate(request))
    accepted = first.events[0]
    assert isinstance(accepted, Accepted)
    assert accepted.seed == 7 and accepted.frames == 9
    assert first.frames.shape == (9, accepted.height, accepted.width, 3)
    assert first.frames.dtype == np.uint8
    assert np.array_equal(first.frames, second.frames)
    assert first.frames.std() > 1, "the frames are not flat"


def test_another_seed_gives_another_video(tiny, made):
    model = tiny("t2v")
    assert not np.array_equal(made(small(model)).frames, made(small(model, seed=8)).frames)


def test_the_image_matters(tiny, image, made):
    model = tiny("i2v")
    one = made(small(model, inputs={"image": image("a", 64, 48)}))
    other = made(small(model, inputs={"image": image("b", 64, 48)}))
    assert not np.array_equal(one.frames, other.frames)


def test_ti2v_keeps_its_first_frame(tiny, image, made):
    """With an image, latent frame 0 is the image's own latent, whatever the noise."""
    model = tiny("ti2v")
    picture = image("first", 64, 64)
    one = made(small(model, size="64x64", inputs={"image": picture}, seed=1)).frames
    other = made(small(model, size="64x64", inputs={"image": picture}, seed=2)).frames
    assert np.array_equal(one[0], other[0])
    assert not np.array_equal(one[1:], other[1:])


def test_an_image_gives_the_video_its_shape(tiny, image, made):
    accepted = made(small(tiny("i2v"), size="64x64", inputs={"image": image("wide", 160, 80)})).events[0]
    assert accepted.width / accepted.height == pytest.approx(2, rel=0.5)
    assert accepted.width * accepted.height <= 64 * 64


def test_order_of_events(tiny):
    events = list(engine().generate(small(tiny("t2v"), previews=True)))
    assert isinstance(events[0], Accepted)
    assert isinstance(events[-1], Finished)
    kinds = [type(e) for e in events]
    assert kinds.index(Loading) < kinds.index(Progress) < kinds.index(Preview) < kinds.index(Frames)
    steps = [e for e in events if isinstance(e, Progress)]
    assert [s.step for s in steps] == [1, 2, 3]
    assert all(s.of == 3 for s in steps) and steps[-1].seconds_left == 0
    index = 0
    for frames in (e for e in events if isinstance(e, Frames)):
        assert frames.index == index
        index += len(frames.frames)
    assert index == 9 == events[-1].frames


def test_frames_leave_while_decoding(tiny, made):
    """The first latent frame's picture comes alone, then four at a time."""
    counts = [len(e.frames) for e in made(small(tiny("t2v"))).events if isinstance(e, Frames)]
    assert counts == [1, 4, 4]


def test_both_experts_are_used(tiny, made):
    """High-noise steps by the first expert, the others by the second: without either, another video."""
    two = Made.of(engine().generate(small(tiny("t2v-a14b"), steps=6)))
    only_high = made(small(tiny("t2v-a14b"), steps=6, params={}, guidance=(4.0, 1.0)))
    assert not np.array_equal(two.frames, only_high.frames)
    parts = [e.part for e in two.events if isinstance(e, Loading)]
    assert "transformer high" in parts and "transformer low" in parts


def test_listed_noise_levels(tiny, made):
    accepted = made(small(tiny("t2v"), steps=None, sigmas=(1.0, 0.8, 0.3, 0.0))).events[0]
    assert accepted.steps == 3


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("slg", {"blocks": [1]}),
        ("cfg-zero-star", {}),
        ("nag", {"text": "grey"}),
        ("feta", {"weight": 4}),
        ("riflex", {"index": 2}),
        ("freeinit", {"rounds": 2}),
        ("easycache", {"threshold": 1, "start_step": 1}),
    ],
)
def test_methods_change_the_video(name, params, tiny, made):
    plain = made(small(tiny("t2v"), steps=4))
    changed = made(small(tiny("t2v"), steps=4, methods=[{"name": name, "params": params}]))
    assert not np.array_equal(plain.frames, changed.frames)


def test_overlapping_windows(tiny, made):
    windows = {"schedule": "static_standard", "frames": 13, "overlap": 8}
    long = made(small(tiny("t2v"), frames=29, windows=windows))
    assert long.frames.shape[0] == 29
    assert not np.array_equal(long.frames, made(small(tiny("t2v"), frames=29)).frames)


def test_closing_cancels(tiny):
    """Closed after the first step, nothing more is computed, and the engine takes the next request."""
    runs = engine()
    events = runs.generate(small(tiny("t2v"), steps=50))
    for event in events:
        if isinstance(event, Progress):
            break
    events.close()
    assert event.step == 1
    assert isinstance(list(runs.generate(small(tiny("t2v"))))[-1], Finished)
