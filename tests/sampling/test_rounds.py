import torch

from tests.sampling.steps import step_at
from wancore.sampling.loop import Stepped
from wancore.sampling.method import Method
from wancore.sampling.noise import NoiseSource
from wancore.sampling.rounds import in_rounds, rounds_of


class Again(Method):
    rounds = 3

    def __init__(self):
        self.begun = 0

    def begin(self):
        self.begun += 1

    def restart(self, latent, noise, source):
        return latent + noise


def run(start):
    for i in range(2):
        start = start + 1
        yield Stepped(step_at(i, 2), start, start)


def test_one_round_without_methods():
    steps = list(in_rounds(torch.zeros(1), run, (), NoiseSource(0)))
    assert [s.x.item() for s in steps] == [1, 2]


def test_rounds_begin_anew_from_what_the_method_says():
    method, other = Again(), Method()
    noise = torch.tensor([100.0])
    steps = list(in_rounds(noise, run, (other, method), NoiseSource(0)))
    assert [s.step.index for s in steps] == [0, 1] * 3
    assert [s.x.item() for s in steps] == [101, 102, 203, 204, 305, 306]
    assert method.begun == 3
    assert rounds_of((other, method)) == 3 and rounds_of(()) == 1
