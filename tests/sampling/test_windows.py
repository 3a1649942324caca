from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sampling.window_plans import SCHEDULES, plans, windows_or_reject
from wancore.errors import InvalidInput
from wancore.sampling.windows import WindowPlan, bit_reversed, part_of


@settings(deadline=None, max_examples=300)
@given(plans(), st.integers(0, 60), st.integers(1, 90))
def test_windows_hold_every_frame_and_no_frame_twice(plan, step, frames):
    windows = windows_or_reject(plan, step, frames)
    assert set().union(*windows) == set(range(frames))
    assert all(len(set(w)) == len(w) == min(plan.size, frames) for w in windows)


@settings(deadline=None)
@given(plans(), st.integers(0, 60), st.integers(1, 90))
def test_windows_at_stride_one_are_never_refused(plan, step, frames):
    assert replace(plan, stride=1).at(step, frames)


@given(st.integers(0, 50), st.integers(0, 50))
def test_static_windows_do_not_move(a, b):
    plan = WindowPlan("static_standard", 9, 4)
    assert plan.at(a, 33) == plan.at(b, 33)


def test_uniform_windows_move_with_the_step():
    plan = WindowPlan("uniform_looped", 9, 4)
    starts = [plan.at(step, 32)[0][0] for step in range(4)]
    assert starts == [0, 16, 8, 24]


def test_static_windows_end_with_the_clip():
    assert WindowPlan("static_standard", 8, 2).at(0, 21) == [
        tuple(range(8)), tuple(range(6, 14)), tuple(range(12, 20)), tuple(range(13, 21))
    ]  # fmt: skip


def test_only_looped_windows_run_over_the_end():
    def wraps(schedule):
        windows = WindowPlan(schedule, 9, 4).at(1, 21)
        return any(after < before for w in windows for before, after in pairwise(w))

    assert [wraps(schedule) for schedule in SCHEDULES] == [False, False, True]


def test_a_clip_no_longer_than_a_window_is_one_window():
    for schedule in SCHEDULES:
        assert WindowPlan(schedule, 9, 4).at(3, 8) == [tuple(range(8))]


def test_bit_reversed_is_the_van_der_corput_sequence():
    assert [bit_reversed(i) for i in range(6)] == [0, 0.5, 0.25, 0.75, 0.125, 0.625]


def test_pixel_frames_become_latent_frames():
    assert WindowPlan.of_pixel_frames() == WindowPlan("static_standard", 21, 4, 1)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"schedule": "sliding"}, "windows.schedule"),
        ({"fuse": "mean"}, "windows.fuse"),
        ({"size": 0, "overlap": 0}, "windows.size"),
        ({"overlap": 9}, "windows.overlap"),
        ({"overlap": -1}, "windows.overlap"),
        ({"stride": 0}, "windows.stride"),
    ],
)
def test_bad_plans_name_the_field(changes, field):
    fields = {"schedule": "static_standard", "size": 9, "overlap": 4, "stride": 1, "fuse": "linear"}
    with pytest.raises(InvalidInput) as raised:
        WindowPlan(**{**fields, **changes})
    assert raised.value.field == field


def test_a_stride_too_wide_for_the_clip_is_refused():
    with pytest.raises(InvalidInput, match=r"windows\.stride"):
        WindowPlan("uniform_looped", 8, 2, stride=4).at(0, 12)


@settings(deadline=None)
@given(plans(), st.integers(0, 30), st.integers(1, 60), st.integers(1, 6))
def test_a_window_belongs_to_one_of_the_parts(plan, step, frames, parts):
    windows = windows_or_reject(plan, step, frames)
    chosen = [part_of(w, frames, parts) for w in windows]
    assert all(0 <= c < parts for c in chosen)
    assert max(chosen) == parts - 1 or frames < parts


def test_parts_follow_the_last_frame_of_a_window():
    plan = WindowPlan("static_standard", 8, 2)
    assert [part_of(w, 21, 3) for w in plan.at(0, 21)] == [1, 1, 2, 2]
    assert torch.arange(21)[list(plan.at(0, 21)[0])].max() == 7
