import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from wancore_caching.easycache import EasyCache
from wancore_caching.magcache import MagCache, Retention, stretched
from wancore_caching.parameters import EasyCacheParameters, MagCacheParameters, TeaCacheParameters
from wancore_caching.states import States
from wancore_caching.tables import magnitudes, polynomials
from wancore_caching.teacache import TeaCache, relative_change

from tests.sampling.steps import step_at
from wancore.sampling.guidance import classifier_free
from wancore.sampling.method import Call, Run

STEPS = 20


def run_of(steps=STEPS, **experts):
    passes = frozenset({"positive"})
    return Run(
        steps, 3, 2, passes, classifier_free(4.0), lambda text: torch.empty(0), experts=experts or {"": steps}
    )


def embedding(step):
    """e [1, 4] that changes by 10 % at each step."""
    return torch.full((1, 4), 1.1**step)


def decisions(cache, steps=range(STEPS), name="positive", window=0, expert="", count=STEPS):
    """Which of the steps ran the blocks; every run of the blocks adds the step's number plus 1."""
    ran = []
    for i in steps:
        call = Call(step_at(i, count), name, window, expert)
        before = torch.zeros(2, 3)

        def blocks(x, i=i):
            ran.append(i)
            return x + i + 1

        out = cache.around_blocks(call, blocks, before, embedding(i), embedding(i)[:, None])
        assert torch.equal(out, before + ran[-1] + 1)  # the last computed residual
    return ran


def tea(**parameters):
    return TeaCache(TeaCacheParameters(**{"coefficients": (1.0, 0.0), **parameters}), run_of())


def test_teacache_computes_until_changes_add_up():
    # 10 % a step: two skips (0.1, 0.2), then 0.3 is no longer below 0.25
    assert decisions(tea(threshold=0.25))[:8] == [0, 3, 6, 9, 12, 15, 18, 19]


def test_teacache_keeps_the_first_and_last_steps():
    endless = {"threshold": 1e9}
    assert decisions(tea(**endless)) == [0, STEPS - 1]
    assert decisions(tea(embedding="e0", **endless)) == [0, 1, 2, 3, 4]
    assert decisions(tea(start_step=3, end_step=10, **endless)) == [0, 1, 2, *range(11, STEPS)]


def test_teacache_of_the_wrapper_drifts_away_from_its_reference():
    assert decisions(tea(threshold=0.25, rule="wrapper"))[:5] == [0, 1, 3, 5, 7]


def test_teacache_without_a_polynomial_compares_e0():
    cache = tea(coefficients=None, rescaled=False, threshold=0.25, start_step=1)
    assert decisions(cache)[:3] == [0, 3, 6]


def test_a_level_that_stands_still_does_not_hide_the_change():
    before = torch.tensor([[1.0, 1.0], [5.0, 5.0]])
    now = torch.tensor([[1.5, 1.5], [5.0, 5.0]])
    assert relative_change(now, before) == pytest.approx(0.5)


@settings(deadline=None)
@given(st.sampled_from(["upstream", "wrapper"]), st.sampled_from(["e", "e0"]))
def test_teacache_never_skips_at_threshold_zero(rule, kind):
    cache = tea(threshold=0, rule=rule, embedding=kind, coefficients=(-5.0, 0.0), start_step=0)
    assert decisions(cache) == list(range(STEPS))


@settings(deadline=None)
@given(st.sampled_from(["upstream", "wrapper"]), st.sampled_from(sorted(magnitudes())))
def test_magcache_never_skips_at_threshold_zero(rule, table):
    parameters = MagCacheParameters(table=table, threshold=0, rule=rule, longest=9)
    assert decisions(MagCache(parameters, run_of())) == list(range(STEPS))


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(sorted(magnitudes())), st.floats(0, 1), st.integers(0, 5), st.floats(0, 1),
    st.integers(1, 60), st.sampled_from(["positive", "negative"]),
)  # fmt: skip
def test_magcache_respects_its_limits(table, threshold, longest, retention, steps, name):
    parameters = MagCacheParameters(table=table, threshold=threshold, longest=longest, retention=retention)
    ran = decisions(MagCache(parameters, run_of(steps)), range(steps), name, count=steps)
    gaps = np.diff([*ran, steps]) - 1
    assert ran[0] == 0 and gaps.max(initial=0) <= longest
    assert set(range(int(steps * retention))) <= set(ran)


def test_ratios_are_stretched_to_the_nearest():
    assert stretched([1, 2, 3, 4, 5], 3) == [1, 3, 5]
    assert stretched([1, 2, 3], 5) == [1, 1, 2, 3, 3]  # halves go to the even place
    assert stretched([1, 2, 3], 1) == [3]


def test_two_experts_keep_the_beginning_of_each():
    kept = [call for call in range(80) if Retention(0.2, 40, 26, "t2v").keeps(call)]
    assert kept == [*range(10), *range(52, 58)]
    assert [call for call in range(80) if not Retention(0.2, 40, 15, "i2v").keeps(call)] == [*range(40, 80)]


def test_no_residual_of_another_expert_is_used():
    parameters = MagCacheParameters(table="wan21_t2v_14B", threshold=9, longest=99, retention=0)
    cache = MagCache(parameters, run_of(high=3, low=17))
    assert decisions(cache, range(3), expert="high") == [0]
    assert decisions(cache, range(3, STEPS), expert="low") == [3]


def test_passes_and_windows_have_residuals_of_their_own():
    cache = tea(threshold=1e9)
    for name, window in (("positive", 0), ("negative", 0), ("positive", 1)):
        assert decisions(cache, range(STEPS), name, window) == [0, STEPS - 1]
    assert set(cache.skipped) == {("positive", 0, ""), ("negative", 0, ""), ("positive", 1, "")}
    assert cache.skipped["negative", 0, ""] == tuple(range(1, STEPS - 1))


def test_a_new_round_begins_with_nothing():
    cache = tea(threshold=1e9)
    decisions(cache)
    cache.begin()
    assert not cache.skipped
    assert decisions(cache) == [0, STEPS - 1]


def test_states_are_dropped_once_a_step_went_by_without_them():
    states = States()
    first = states.at("a", 0, list)
    assert states.at("a", 1, list) is first
    states.at("b", 3, list)
    assert len(states) == 1
    assert states.at("a", 3, list) is not first


def test_offloaded_residuals_give_the_same():
    assert decisions(tea(threshold=0.25, offload=True)) == decisions(tea(threshold=0.25))


def easy(steps=STEPS, **parameters):
    return EasyCache(EasyCacheParameters(**parameters), run_of(steps))


def easy_decisions(cache, passes=("positive", "negative"), steps=STEPS):
    """Calls that reached the model, whose velocity is twice the latent plus what tells passes apart."""
    ran = []
    for i in range(steps):
        x = torch.full((1, 1, 1, 1), 100.0 - i)
        for number, name in enumerate(passes):

            def predict(x, name=name, number=number, i=i):
                ran.append((i, name))
                return 2 * x + 1000 * number

            out = cache.around_pass(Call(step_at(i, steps), name), predict, x)
            assert abs(out - (2 * x + 1000 * number)).max() < 10
    return ran


def test_easycache_decides_once_a_step_for_all_passes():
    ran = easy_decisions(easy(threshold=0.05, start_step=3))
    positive, negative = ([i for i, n in ran if n == name] for name in ("positive", "negative"))
    assert positive == negative
    assert positive[:3] == [0, 1, 2] and positive[-1] == STEPS - 1
    assert 5 < len(positive) < STEPS


def test_easycache_predicts_with_the_measured_slope():
    # slope 2, a change of 1 a step, |v| about 200: 1 % a step
    ran = [i for i, _ in easy_decisions(easy(threshold=0.035, start_step=3), ("positive",))]
    assert ran[:5] == [0, 1, 2, 6, 10]


def test_easycache_never_skips_at_threshold_zero():
    assert len(easy_decisions(easy(threshold=0, start_step=0))) == 2 * STEPS


def test_easycache_computes_a_pass_that_it_has_not_seen():
    cache = easy(threshold=1e9, start_step=2)
    x = torch.ones(1, 1, 1, 1)
    for i in range(4):
        cache.around_pass(Call(step_at(i, STEPS), "positive"), lambda x: 2 * x, x - 0.1 * i)
    assert cache.skipped == {("positive", 0, ""): (2, 3)}
    seen = []
    cache.around_pass(Call(step_at(3, STEPS), "negative"), lambda x: seen.append(x) or x, x)
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        (TeaCacheParameters, {}, "either a table or coefficients"),
        (TeaCacheParameters, {"table": "wan21_t2v_14B", "coefficients": 1}, "either a table or coefficients"),
        (TeaCacheParameters, {"table": "wan22"}, "one of wan21_t2v_1_3B, wan21_t2v_14B"),
        (MagCacheParameters, {}, "Field required"),
        (MagCacheParameters, {"table": "wan22"}, "one of .*wan22_t2v_A14B"),
        (MagCacheParameters, {"table": "wan21_t2v_14B", "start_step": 1}, "wrapper's rule"),
        (EasyCacheParameters, {"threshold": -1}, "greater than or equal to 0"),
    ],
)
def test_mistakes_are_explained(model, given, message):
    with pytest.raises(ValidationError, match=message):
        model.model_validate(given)


def test_every_table_is_whole():
    assert all(len(c) == 5 for both in polynomials().values() for c in both.values())
    assert all(both.keys() == {"e", "e0"} for both in polynomials().values())
    assert all(t.ratios[:2] == (1, 1) and len(t.ratios) in (80, 100) for t in magnitudes().values())
