import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sampling.window_plans import plans, windows_or_reject
from wancore.sampling.fusion import Windowed, normalised, window_weights
from wancore.sampling.hooks import Step
from wancore.sampling.windows import WindowPlan


def at_step(index, x):
    return Step(index, 30, 1.0, 0.5, 1000.0, x)


@settings(deadline=None, max_examples=200)
@given(plans(), st.integers(0, 29), st.integers(1, 60))
def test_weights_are_shares(plan, step, frames):
    windows = windows_or_reject(plan, step, frames)
    weights = [window_weights(w, frames, plan) for w in windows]
    assert all(((w >= 0) & (w <= 1)).all() for w in weights)
    shares = normalised([list(w) for w in windows], weights, frames)
    total = torch.zeros(frames)
    for window, share in zip(windows, shares, strict=True):
        assert (share >= 0).all()
        total[list(window)] += share
    torch.testing.assert_close(total, torch.ones(frames))


@settings(deadline=None, max_examples=100)
@given(plans(), st.integers(0, 29), st.integers(1, 40), st.integers(0, 2), st.integers(0, 2))
def test_fusing_a_pointwise_prediction_gives_that_prediction(plan, step, frames, head, tail):
    windows_or_reject(plan, step, frames)
    x = torch.randn(2, head + frames + tail, 2, 2)
    fused = Windowed(plan, frames, lambda x, step, at: 3 * x - 1, head)(x, at_step(step, x))
    torch.testing.assert_close(fused, 3 * x - 1)


def test_windows_see_service_frames_and_keep_their_number():
    seen = []

    def predict(x, step, at):
        seen.append((at.index, at.frames, x[0, :, 0, 0].tolist()))
        return x

    x = torch.arange(8.0).view(1, 8, 1, 1)  # head 0, clip 1..6, tail 7
    windowed = Windowed(WindowPlan("static_standard", 4, 2), 6, predict, head=1)
    windowed(x, at_step(0, x))
    windowed(x, at_step(1, x))
    first = [(0, (0, 1, 2, 3), [0, 1, 2, 3, 4, 7]), (1, (2, 3, 4, 5), [0, 3, 4, 5, 6, 7])]
    assert seen == [*first, *first]


def test_linear_weights_ramp_only_inside_the_clip():
    plan = WindowPlan("static_standard", 5, 3)
    ramp = torch.linspace(0, 1, 3).tolist()
    assert window_weights((0, 1, 2, 3, 4), 9, plan).tolist() == [1, 1, *ramp[::-1]]
    assert window_weights((4, 5, 6, 7, 8), 9, plan).tolist() == [*ramp, 1, 1]
    assert window_weights((0, 1, 2, 3, 4), 5, plan).tolist() == [1] * 5


def test_pyramid_weights_peak_in_the_middle():
    plan = WindowPlan("static_standard", 5, 1, fuse="pyramid")
    expected = torch.tensor([1, 2, 3, 2, 1]) / 3
    torch.testing.assert_close(window_weights((3, 4, 5, 6, 7), 20, plan), expected)


def test_a_frame_with_no_weight_anywhere_is_shared_equally():
    plan = WindowPlan("uniform_looped", 9, 4)
    x = torch.randn(1, 8, 1, 1)
    assert window_weights(tuple(range(8)), 8, plan)[0] == 0
    torch.testing.assert_close(Windowed(plan, 8, lambda x, step, at: x)(x, at_step(0, x)), x)
