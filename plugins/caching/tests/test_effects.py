"""Caches in whole runs of a tiny transformer."""

import pytest
import torch

from tests.sampling.tiny_run import TinyRun
from tests.transformer.models import tiny
from wancore.errors import Conflict
from wancore.sampling.windows import WindowPlan

CACHES = {
    "teacache": {"coefficients": [1.0, 0.0], "threshold": 3.0},
    "magcache": {"table": "wan21_t2v_1_3B", "threshold": 0.12},
    "easycache": {"threshold": 3.0, "start_step": 3},
}
STEPS = 8


@pytest.fixture(scope="module")
def plain():
    return TinyRun(steps=STEPS).latent()


@pytest.mark.parametrize("name", CACHES)
def test_a_cache_skips_and_stays_close(name, plain):
    run = TinyRun({name: CACHES[name]}, steps=STEPS)
    (cache,) = methods = run.made()
    latent = run.latents(methods)[-1]
    assert cache.skipped.keys() == {("positive", 0, ""), ("negative", 0, "")}
    assert all(0 < len(steps) < STEPS and 0 not in steps for steps in cache.skipped.values())
    assert 1e-6 < (latent - plain).norm() / plain.norm() < 1


@pytest.mark.parametrize("name", CACHES)
def test_threshold_zero_is_no_cache_to_the_bit(name, plain):
    assert torch.equal(TinyRun({name: {**CACHES[name], "threshold": 0}}, steps=STEPS).latent(), plain)


@pytest.mark.parametrize("name", CACHES)
def test_windows_have_states_of_their_own(name):
    windows = WindowPlan("static_standard", 3, 1)
    run = TinyRun({name: CACHES[name]}, steps=STEPS, frames=5, windows=windows)
    (cache,) = methods = run.made()
    assert run.latents(methods)[-1].isfinite().all()
    assert {window for _, window, _ in cache.skipped} == {0, 1}


def test_windows_that_do_not_come_back_are_not_skipped():
    windows = WindowPlan("uniform_looped", 4, 1)
    run = TinyRun({"teacache": CACHES["teacache"]}, steps=4, frames=9, windows=windows)
    (cache,) = methods = run.made()
    assert torch.equal(run.latents(methods)[-1], TinyRun(steps=4, frames=9, windows=windows).latent())
    assert not cache.skipped


def test_a_repeated_denoising_begins_with_nothing():
    run = TinyRun({"magcache": CACHES["magcache"], "freeinit": {"rounds": 2}}, steps=STEPS)
    methods = run.made()
    run.latents(methods)
    (cache,) = (m for m in methods if m.rounds == 1)
    assert all(len(set(steps)) == len(steps) and 0 not in steps for steps in cache.skipped.values())


def test_skipped_layers_and_caches_go_together():
    run = TinyRun({"teacache": CACHES["teacache"], "slg": {"blocks": 1}}, steps=STEPS)
    assert run.latent().isfinite().all()


def test_a_request_has_one_cache():
    with pytest.raises(Conflict, match="the step cache"):
        TinyRun(CACHES).made()


def test_residuals_stay_where_the_model_is():
    """On the meta device, where any stray CPU tensor would fail; MagCache alone decides without data."""
    run = TinyRun({"magcache": CACHES["magcache"]}, steps=STEPS, model=tiny().to("meta"))
    assert run.latents(start=run.noise.to("meta"))[-1].is_meta


@pytest.mark.parametrize("name", ["teacache", "magcache"])
def test_residuals_have_the_type_of_the_model(name):
    run = TinyRun({name: CACHES[name]}, steps=STEPS, model=tiny().bfloat16())
    (cache,) = methods = run.made()
    assert run.latents(methods)[-1].dtype == torch.float32
    assert cache.skipped
