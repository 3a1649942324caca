import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.sampling.steps import step_at, steps_of
from wancore.errors import InvalidInput
from wancore.sampling.combination import Combination, combine
from wancore.sampling.guidance import UNGUIDED, Direction, Guidance, classifier_free, per_step, within

SCALES = st.floats(-5, 12, allow_nan=False)


def three_passes(s: float, w: float) -> Guidance:
    directions = (Direction(s, "d", "u"), Direction(w, "c", "d"))
    return Guidance("u", directions, {"u": {}, "d": {}, "c": {}})


def predictions(*names: str) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    return {name: torch.randn(2, 3, 4, 4, generator=generator) for name in names}


@given(SCALES)
def test_plain_guidance_is_its_formula(w):
    p = predictions("positive", "negative")
    wanted = p["negative"] + w * (p["positive"] - p["negative"])
    torch.testing.assert_close(combine(classifier_free(w), step_at(), p), wanted)


@given(SCALES, SCALES)
def test_leaving_out_passes_of_no_weight_changes_nothing(s, w):
    guidance = three_passes(s, w)
    p = predictions("u", "d", "c")
    used = guidance.used([step_at()])
    needed = {name: p[name] for name in p if name in used}
    wanted = combine(guidance, step_at(), p)
    torch.testing.assert_close(combine(guidance, step_at(), needed), wanted, atol=1e-4, rtol=1e-4)


@given(SCALES)
def test_equal_scales_need_no_pass_between(w):
    used = three_passes(w, w).used([step_at()])
    assert "d" not in used


@given(st.lists(SCALES, min_size=1, max_size=4))
def test_weights_sum_to_one(scales):
    names = [str(i) for i in range(len(scales) + 1)]
    directions = tuple(Direction(s, a, b) for s, a, b in zip(scales, names[1:], names, strict=False))
    weights = Guidance(names[0], directions, {n: {} for n in names}).weights(step_at())
    assert sum(weights.values()) == pytest.approx(1, abs=1e-6)


def test_a_scale_of_one_is_the_positive_pass_itself():
    p = predictions("positive")
    guidance = classifier_free(1.0)
    assert guidance.used([step_at()]) == {"positive"}
    assert combine(guidance, step_at(), p) is p["positive"]


def test_no_guidance_is_the_positive_pass_itself():
    p = predictions("positive")
    assert combine(UNGUIDED, step_at(), p) is p["positive"]


def test_the_last_listed_scale_goes_on():
    scale = per_step([6.0, 3.0])
    assert [scale(s) for s in steps_of(4)] == [6, 3, 3, 3]
    assert classifier_free(per_step([2.0, 1.0])).used(steps_of(3)) == {"positive", "negative"}
    assert classifier_free(per_step([2.0, 1.0])).used(steps_of(3)[1:]) == {"positive"}


def test_an_empty_list_of_scales_is_refused():
    with pytest.raises(InvalidInput, match="at least one"):
        per_step([])


def test_ranges_include_both_ends():
    acting = [s.index for s in steps_of(10) if within(s, 0.2, 0.5)]
    assert acting == [2, 3, 4, 5]
    assert all(within(s, 0.0, 1.0) for s in steps_of(3))


def test_methods_change_a_copy_of_the_predictions():
    p = predictions("positive", "negative")
    combination = Combination.of(classifier_free(2.0), step_at(), p)
    (term,) = combination.terms
    term.difference = torch.ones_like(p["positive"])
    torch.testing.assert_close(combination.total(), p["negative"] + 2)


def halves():
    return lambda difference, base: difference / 2 + 0 * base


def test_filters_act_before_the_scale():
    p = predictions("u", "c")
    guidance = Guidance("u", (Direction(3.0, "c", "u", halves),), {"u": {}, "c": {}})
    torch.testing.assert_close(combine(guidance, step_at(), p), p["u"] + 1.5 * (p["c"] - p["u"]))


def test_a_filtered_direction_needs_both_its_passes():
    """Its passes have no fixed factor, so that none of them can cancel out."""
    directions = (Direction(1.0, "c", "u", halves), Direction(0.0, "d", "u", halves))
    guidance = Guidance("u", directions, {"u": {}, "d": {}, "c": {}})
    assert guidance.needed(step_at()) == ("u", "c")
    p = predictions("u", "c")
    torch.testing.assert_close(combine(guidance, step_at(), p), p["u"] + 0.5 * (p["c"] - p["u"]))
