import torch

from tests.sampling.steps import steps_of
from wancore.sampling.clamp import KeepFrames, RenoiseFrames
from wancore.sampling.euler import Euler
from wancore.sampling.loop import denoise
from wancore.sampling.schedules import uniform


class Drawn:
    """Counts draws; the n-th is n everywhere."""

    def __init__(self):
        self.count = 0

    def __call__(self, shape):
        self.count += 1
        return torch.full(tuple(shape), float(self.count))


def run(hook, seen):
    schedule, draw = uniform(3, 5.0), Drawn()

    def velocity(x, step):
        seen.append(x.clone())
        return torch.ones_like(x)

    noise = torch.full((2, 4, 1, 1), 9.0)
    *_, last = denoise(noise, schedule, Euler(schedule), velocity, draw, (hook,))
    return schedule, draw, last.x


def test_kept_frames_are_clean_whenever_the_model_looks_and_at_the_end():
    seen, known = [], torch.full((2, 2, 1, 1), 0.5)
    _, _, x = run(KeepFrames(known, start_frame=1), seen)
    for latent in (*seen, x):
        assert torch.equal(latent[:, 1:3], known)
        assert not torch.equal(latent[:, :1], known[:, :1])


def test_kept_frames_hold_what_another_hook_did_to_the_model_input():
    known = torch.zeros(2, 1, 1, 1)
    x = torch.ones(2, 4, 1, 1)
    assert KeepFrames(known).model_input(x, Drawn(), steps_of(1)[0])[:, :1].eq(0).all()
    assert x.eq(1).all()


def test_renoised_frames_follow_the_level_with_one_draw_each_time():
    seen, known = [], torch.full((2, 1, 1, 1), 0.5)
    schedule, draw, x = run(RenoiseFrames(known), seen)
    assert draw.count == 4
    for i, latent in enumerate((*seen, x)):
        sigma = float(schedule.sigmas[i])
        torch.testing.assert_close(latent[:, :1], (1 - sigma) * known + sigma * (i + 1))
    assert torch.equal(x[:, :1], known)
