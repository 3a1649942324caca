"""A family that begins behind the schedule's first steps, from a latent that it gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.engine.tiny import Made
from wancore.engine import Engine
from wancore.errors import Conflict, InvalidInput, WancoreError
from wancore.events import Accepted, Progress


def late(stage, name: str = "late", *attached: str, **params: Any):
    """Four steps, with `name` attached and these parameters."""
    uses = [*stage.attach(*attached), {"name": name, "params": params}]
    return stage.request(attachments=uses, steps=4)


def test_only_the_steps_behind_are_run(stage):
    whole = Made.of(stage.engine.generate(stage.request(steps=4)))
    run = Made.of(stage.engine.generate(late(stage, step=3)))
    (accepted,) = (event for event in run.events if isinstance(event, Accepted))
    steps = [event for event in run.events if isinstance(event, Progress)]
    assert accepted.steps == len(steps) == 1 and steps[0].of == 1
    assert run.frames.shape == whole.frames.shape and not np.array_equal(run.frames, whole.frames)


def test_the_given_latent_decides_as_much_as_was_left_out(stage):
    def distance(step: int) -> float:
        dark, light = (stage.frames(late(stage, step=step, value=value)) for value in (-1.0, 1.0))
        return float(np.abs(dark.astype(int) - light.astype(int)).mean())

    assert 0 < distance(1) < distance(3)


def test_at_the_first_step_it_is_pure_noise(stage):
    """Level 1 keeps nothing of the given latent, so the run is the plain one."""
    euler = {"steps": 4, "solver": "euler"}
    uses = [{"name": "late", "params": {"step": 0, "value": 1.0}}]
    assert np.array_equal(*(stage.frames(stage.request(**euler, attachments=a)) for a in (uses, [])))


def test_a_strength_is_a_step(stage):
    """`strength_start`: of 4 steps, half makes the run begin at step 1."""
    half, one = (stage.frames(late(stage, **given, value=1.0)) for given in ({"strength": 0.5}, {"step": 1}))
    assert np.array_equal(half, one)


@pytest.fixture
def refused(stage, monkeypatch):
    def refusal(request) -> WancoreError:
        with monkeypatch.context() as patched, pytest.raises(WancoreError) as caught:
            patched.setattr(Engine, "models_for", lambda *_: pytest.fail("something was loaded"))
            stage.engine.plan(request)
        return caught.value

    return refusal


def test_two_beginnings(stage, refused):
    error = refused(stage.request("late", "later"))
    assert isinstance(error, Conflict) and set(error.claimants) == {"late", "later"}
    assert "the beginning of the schedule" in str(error)


@pytest.mark.parametrize(("in_front", "name"), [("front", "front"), ("references", "VACE")])
def test_frames_in_front_that_nobody_knows_the_beginning_of(stage, refused, in_front, name):
    error = refused(late(stage, "late", in_front, step=2))
    assert isinstance(error, Conflict) and set(error.claimants) == {name, "late"}
    assert "in front of the clip" in str(error)


@pytest.mark.parametrize(
    ("params", "field", "said"),
    [
        ({"step": 4}, "params.step", "a step in 0..3"),
        ({"step": -1}, "params.step", "a step in 0..3"),
        ({"strength": 1.5}, "params.strength", "a number in 0..1"),
    ],
)
def test_a_beginning_that_is_not_there(stage, params, field, said):
    with pytest.raises(InvalidInput) as caught:
        next(stage.engine.generate(late(stage, **params)))
    assert (caught.value.field, caught.value.attachment) == (field, "late") and said in str(caught.value)
