import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from wancore_guidance.enhance import enhancement
from wancore_guidance.freeinit import frequency_mix, low_pass
from wancore_guidance.frequency import frequency_scaled
from wancore_guidance.noise_shuffle import shuffled
from wancore_guidance.normalized_attention import normalized_guidance
from wancore_guidance.parameters import FreeInitParameters
from wancore_guidance.prompt_split import chunk_sizes, prompt_of_frame, prompt_rows, split_plan
from wancore_guidance.ratio import ratio
from wancore_guidance.rescaling import rescaled
from wancore_guidance.tangential import without_tangent
from wancore_guidance.zero_star import optimal_scale

from wancore.kernels.attention import sdpa
from wancore.sampling.noise import NoiseSource
from wancore.transformer.canvas import Canvas
from wancore.transformer.plan import self_attention


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(st.floats(0.2, 5))
def test_the_optimal_scale_leaves_nothing_of_the_prediction(factor):
    u = normal(2, 3, 4, 4)
    torch.testing.assert_close(optimal_scale(factor * u, u), torch.tensor(factor), rtol=1e-4, atol=0)
    c = normal(2, 3, 4, 4, seed=1)
    assert ((c - optimal_scale(c, u) * u) * u).sum().abs() < 1e-3


def test_the_tangent_is_removed_by_the_singular_value_decomposition():
    c, u = normal(4, 3, 5, 5), normal(4, 3, 5, 5, seed=1)
    left, values, right = torch.linalg.svd(torch.stack((c.flatten(1), u.flatten(1)), 1), full_matrices=False)
    wanted = (left[:, 1, 0] * values[:, 0])[:, None] * right[:, 0]
    torch.testing.assert_close(without_tangent(c, u).flatten(1), wanted, rtol=1e-4, atol=1e-5)


def test_equal_predictions_have_no_tangent():
    c = normal(4, 3, 5, 5)
    torch.testing.assert_close(without_tangent(c, c), c)


def test_the_ratio_is_a_mean_over_channels():
    assert ratio(torch.full((2, 1, 2, 2), 3.0), torch.ones(2, 1, 2, 2)).item() == pytest.approx(3)


@settings(deadline=None)
@given(st.integers(0, 9), st.integers(4, 9), st.integers(4, 9))
def test_equal_frequency_factors_scale_everything(cutoff, height, width):
    x = normal(2, 2, height, width)
    torch.testing.assert_close(frequency_scaled(x, 1.5, 1.5, cutoff), 1.5 * x, rtol=1e-4, atol=1e-5)


def test_low_frequencies_are_near_the_mean():
    x = normal(1, 1, 8, 8)
    kept = frequency_scaled(x, 1.0, 0.0, 1)
    assert kept.mean().item() == pytest.approx(x.mean().item(), abs=1e-5)
    assert kept.var() < x.var()


@given(st.floats(0.01, 0.99), st.floats(0.3, 2))
def test_a_temperature_of_one_changes_nothing(t, sigma):
    v, x = normal(2, 2, 3, 3), normal(2, 2, 3, 3, seed=1)
    torch.testing.assert_close(rescaled(v, x, t, 1.0, sigma), v, rtol=1e-2, atol=1e-3)


def test_rescaling_is_exact_for_a_gaussian():
    """The score of N(0, sigma^2 / k) noised to level t, from that of N(0, sigma^2)."""
    x, t, k, sigma = normal(4, 2, 3, 3).double(), 0.6, 0.7, 1.3

    def velocity(variance):  # of x = (1 - t) x0 + t n, E[n - x0 | x]
        spread = (1 - t) ** 2 * variance + t**2
        return x * (t - (1 - t) * variance) / spread

    torch.testing.assert_close(rescaled(velocity(sigma**2), x, t, k, sigma), velocity(sigma**2 / k))


def test_only_noise_is_not_rescaled():
    v = normal(2, 2, 3, 3)
    assert rescaled(v, v, 1.0, 0.5, 1.0) is v


@settings(deadline=None)
@given(st.floats(1, 20), st.floats(0.5, 4), st.floats(0, 1))
def test_guided_attention_grows_by_tau_at_most(scale, tau, alpha):
    positive, negative = normal(6, 8), normal(6, 8, seed=1)
    guided = normalized_guidance(positive, negative, scale, tau, alpha)
    bound = (alpha * max(tau, 1e-6) + 1 - alpha) * positive.abs().sum(-1)
    assert (guided.abs().sum(-1) <= bound * 1.001).all()


def test_guided_attention_of_equal_texts_is_their_attention():
    positive = normal(6, 8)
    torch.testing.assert_close(normalized_guidance(positive, positive, 11.0, 2.5, 0.25), positive)


def test_no_attention_at_all_stays_finite():
    assert normalized_guidance(torch.zeros(2, 4), torch.zeros(2, 4), 11.0, 2.5, 0.25).isfinite().all()


def test_enhancement_is_the_mean_attention_to_other_frames():
    frames, positions = 3, 4
    q, k = normal(frames * positions, 2, 8), normal(frames * positions, 2, 8, seed=1)
    total = 0.0
    for p in range(positions):
        for head in range(2):
            rows = slice(p, None, positions)
            weights = (q[rows, head] @ k[rows, head].T / math.sqrt(8)).softmax(-1)
            total += float(weights.sum() - weights.trace())
    mean = total / (positions * 2 * frames * (frames - 1))
    got = enhancement(q, k, frames, 30.0)
    assert got.item() == pytest.approx(max(1, mean * (frames + 30)), rel=1e-5)
    assert enhancement(q, k, frames, 0.0) >= 1


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 12), st.data())
def test_shuffled_noise_repeats_earlier_frames(frames, size, data):
    overlap = data.draw(st.integers(0, size - 1))
    noise = torch.arange(float(frames)).view(1, frames, 1, 1)
    got = shuffled(noise, size, overlap, NoiseSource(3).permutation)[0, :, 0, 0].tolist()
    assert got[:size] == list(range(min(frames, size)))
    assert set(got) <= set(range(size))
    block = size - overlap
    for place in range(size, frames, block):
        copied = got[place : place + block]
        assert sorted(copied) == sorted(got[place - size : place - size + len(copied)])


@settings(deadline=None)
@given(
    st.sampled_from(["butterworth", "gaussian", "ideal", "box"]), st.floats(0.1, 1), st.floats(0.1, 1),
    st.integers(2, 7), st.integers(2, 9), st.integers(2, 9),
)  # fmt: skip
def test_low_pass_filters_lie_between_nothing_and_everything(method, d_s, d_t, frames, height, width):
    parameters = FreeInitParameters(method=method, d_s=d_s, d_t=d_t)
    kept = low_pass((frames, height, width), parameters)
    assert kept.shape == (frames, height, width)
    assert ((kept >= 0) & (kept <= 1)).all()


def test_mixing_noise_with_itself_gives_it_back():
    noise = normal(2, 3, 4, 5)
    kept = low_pass((3, 4, 5), FreeInitParameters(d_s=0.3, d_t=0.3))
    torch.testing.assert_close(frequency_mix(noise, noise, kept), noise, rtol=1e-4, atol=1e-5)
    other = normal(2, 3, 4, 5, seed=1)
    torch.testing.assert_close(frequency_mix(noise, other, torch.ones(3, 4, 5)), noise, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(frequency_mix(noise, other, torch.zeros(3, 4, 5)), other, rtol=1e-4, atol=1e-5)


@given(st.integers(1, 40), st.integers(1, 8))
def test_parts_divide_the_clip(frames, parts):
    sizes = chunk_sizes(frames, parts)
    assert sum(sizes) == frames and max(sizes) - min(sizes) <= 1 and len(sizes) == min(frames, parts)
    chosen = prompt_of_frame(frames, parts)
    assert len(chosen) == frames and chosen == sorted(chosen)
    assert set(chosen) == set(range(min(frames, parts)))


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 2), st.integers(0, 2), st.integers(0, 3))
def test_every_row_asks_once_and_reads_one_prompt(frames, parts, head, tail, further):
    canvas = Canvas(frames, 1, 2, head, tail)
    rows = canvas.rows + further
    asked = [row for (a, b), _ in split_plan(canvas, rows, parts).spans for row in range(a, b)]
    assert asked == list(range(rows))
    read = [row for _, (a, b) in prompt_rows(canvas, rows, parts) for row in range(a, b)]
    assert read == list(range(rows))


def test_parts_do_not_see_each_other_but_further_rows_see_all():
    canvas = Canvas(4, 1, 1)
    plan = split_plan(canvas, 5, 2)
    v = torch.eye(5)[:, None]  # attention weights, as values
    attended = self_attention(sdpa, normal(5, 1, 5), normal(5, 1, 5, seed=1), v, plan)[:, 0]
    seen = attended > 0
    assert seen.tolist() == [
        [True, True, False, False, True],
        [True, True, False, False, True],
        [False, False, True, True, True],
        [False, False, True, True, True],
        [True] * 5,
    ]
