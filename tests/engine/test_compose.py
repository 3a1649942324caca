"""One window's conditioning from several families."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from wancore.engine.compose import check_claims, compose
from wancore.errors import Conflict, WancoreError
from wancore.plugins.conditioning import DENOISER, Channels, Conditioning, Payload, SegmentSource
from wancore.plugins.family import FamilyBase
from wancore.request import parse_request
from wancore.sampling.clamp import KeepFrames
from wancore.sampling.hooks import NoHooks, Step
from wancore.transformer.canvas import Along, Canvas, Clock
from wancore.transformer.plan import Plan

CANVAS = Canvas(3, 2, 2)


def step(noise: torch.Tensor) -> Step:
    return Step(0, 2, 1.0, 0.5, 1000.0, noise)


def test_frames_in_front_widen_the_canvas():
    composed = compose(Conditioning(CANVAS), [("a", Conditioning(head=2))])
    assert composed.canvas == Canvas(3, 2, 2, head=2) and composed.added_head == 2
    assert compose(Conditioning(CANVAS), []).added_head == 0


@pytest.mark.parametrize(
    ("lead", "attachments"),
    [
        (Conditioning(CANVAS), [("a", Conditioning(head=1)), ("b", Conditioning(head=1))]),
        (Conditioning(Canvas(3, 2, 2, head=1)), [("a", Conditioning(head=1))]),
    ],
)
def test_only_one_is_in_front(lead, attachments):
    with pytest.raises(Conflict, match="canvas head"):
        compose(lead, attachments)


@pytest.mark.parametrize(
    "lead",
    [
        Conditioning(CANVAS, channels=Channels(torch.zeros(4, 3, 4, 4))),
        Conditioning(CANVAS, plan=Plan.blocks([4, 8])),
        Conditioning(Canvas(3, 2, 2, times=(0.0, 1.0, 5.0))),
        Conditioning(CANVAS, clock=Clock(torch.tensor([0, 1, 2]))),
    ],
)
def test_a_lead_that_leaves_open_what_is_in_front(lead):
    with pytest.raises(WancoreError, match="front"):
        compose(lead, [("a", Conditioning(head=1))])


def test_hooks_keep_their_frames():
    """A clamp of the clip's first frame, and the noise that a hook is shown."""
    seen = []

    class Watch(NoHooks):
        def start(self, x, draw, step):
            seen.append((x.shape[1], step.noise.shape[1]))
            return x

    known = torch.full((2, 1, 4, 4), 7.0)
    lead = Conditioning(CANVAS, hooks=(KeepFrames(known), Watch()))
    composed = compose(lead, [("a", Conditioning(head=2))])
    x = torch.zeros(2, 5, 4, 4)
    for hook in composed.hooks:
        x = hook.start(x, None, step(torch.zeros(2, 5, 4, 4)))
    assert x[0, :, 0, 0].tolist() == [0, 0, 7, 0, 0] and seen == [(3, 3)]
    assert composed.hooks[0].after_step(torch.zeros_like(x), None, step(x))[0, 2, 0, 0] == 7
    assert composed.hooks[1].model_input(x, None, step(x)) is not None


@pytest.mark.parametrize("scale", [[0.0, 1.0], [0.0, 0.5]])
@pytest.mark.parametrize("per_token", [False, True])
def test_frames_in_front_run_with_the_canvas(scale, per_token):
    index = torch.tensor([0, 1, 1])
    index = index.repeat_interleave(4) if per_token else index
    clock = Clock(index, torch.tensor(scale, dtype=torch.float64))
    composed = compose(Conditioning(CANVAS, clock=clock), [("a", Conditioning(head=2))])
    rows = composed.clock.rows(composed.canvas)
    times = composed.clock.at(torch.tensor([800.0], dtype=torch.float64))[rows]
    assert times[:8].tolist() == [800.0] * 8
    assert (
        times[8:].tolist()
        == clock.at(torch.tensor([800.0], dtype=torch.float64))[clock.rows(CANVAS)].tolist()
    )


def test_segments_come_in_the_order_of_names():
    one, two = (SegmentSource(n, lambda model, adapter: None) for n in "ab")
    given = [("a", Conditioning(segments=(one,))), ("b", Conditioning(segments=(two,)))]
    for attachments in (given, given[::-1]):
        assert compose(Conditioning(CANVAS), attachments).segments == (one, two)


def test_hooks_act_in_the_order_of_attachment_the_lead_last():
    hooks = [NoHooks() for _ in range(3)]
    attachments = [("b", Conditioning(hooks=(hooks[0],))), ("a", Conditioning(hooks=(hooks[1],)))]
    assert compose(Conditioning(CANVAS, hooks=(hooks[2],)), attachments).hooks == tuple(hooks)


def test_a_slot_is_filled_once():
    data = {"x": {"on": Payload(1)}}
    with pytest.raises(Conflict, match="x"):
        compose(Conditioning(CANVAS, data=data), [("a", Conditioning(data=data))])


@dataclass(frozen=True)
class Frames:
    numbers: tuple[int, ...]


def test_overlapping_windows_slice_what_follows_the_clip():
    def source(numbers):
        return SegmentSource(
            str(numbers), lambda m, a: None, sliced=lambda frames: source([numbers[i] for i in frames])
        )

    def cut(data, frames):
        return Frames(tuple(data.numbers[i] for i in frames))

    data = {
        "own": {"on": Payload(Frames((4, 5, 6)), sliced=cut)},
        "same": {"on": Payload("s", Along.FIXED)},
    }
    fixed = SegmentSource("fixed", lambda m, a: None)
    lead = Conditioning(CANVAS, data=data, segments=(source([4, 5, 6]), fixed))
    part = compose(lead, [("a", Conditioning(head=1))]).at([1, 2])
    assert part.canvas == Canvas(2, 2, 2, head=1)
    assert part.data["own"]["on"].data == Frames((5, 6)) and part.data["same"]["on"].data == "s"
    assert [s.slot for s in part.segments] == ["[5, 6]", "fixed"]


def test_overlapping_windows_refuse_what_has_no_answer():
    lead = Conditioning(CANVAS, data={"own": {"on": Payload(1, Along.CLIP)}})
    with pytest.raises(WancoreError, match="own"):
        compose(lead, []).at([0])
    clocked = Conditioning(CANVAS, clock=Clock(torch.tensor([0, 1, 1])))
    with pytest.raises(WancoreError, match="timestep"):
        compose(clocked, []).at([0])


def test_nothing_is_attached_to_a_denoiser_of_its_own():
    class Other(FamilyBase):
        id, name = "other", "Other"

    class Own(Other):
        id, name, claims = "own", "Own", frozenset({DENOISER})

    request = parse_request({})
    check_claims([(Own(), request)])
    check_claims([(Other(), request), (Own(), request)])
    with pytest.raises(Conflict, match="Own and Other cannot be combined: both need the denoiser"):
        check_claims([(Own(), request), (Other(), request)])
    with pytest.raises(Conflict):
        compose(Conditioning(CANVAS), [("a", Conditioning(denoiser=lambda *given: CANVAS))])


def test_channels_are_changed_in_the_order_of_attachment():
    lead = Conditioning(CANVAS, channels=Channels(torch.ones(4, 3, 4, 4)))
    twice, more = Conditioning(edit_channels=lambda y: 2 * y), Conditioning(edit_channels=lambda y: y + 1)
    assert compose(lead, [("b", twice), ("a", more)]).channels.tensor.unique().tolist() == [3]
    assert compose(lead, [("a", more), ("b", twice)]).channels.tensor.unique().tolist() == [4]
    with pytest.raises(WancoreError, match="the lead has none"):
        compose(Conditioning(CANVAS), [("a", more)])
