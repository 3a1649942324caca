"""Defaults for many steps, and for models distilled to a few."""

import pytest
import torch
from wancore_talking.guidance import Scales
from wancore_talking.parameters import TalkingParameters
from wancore_talking.settled import FEW_STEPS, settled_sampling

from wancore.plugins import plugin_manager
from wancore.request import parse_request
from wancore.sampling.registry import all_solvers, find_solver

SMALL, LARGE = 640 * 640, 704 * 1280


def settled(pixels=SMALL, distilled=None, audio=None, **fields):
    parameters = TalkingParameters(distilled=distilled, audio_scale=audio)
    return settled_sampling(parse_request(fields), parameters, pixels)


@pytest.mark.parametrize("steps", range(2, FEW_STEPS + 1))
def test_few_steps_fall_evenly_to_zero(steps):
    """Each changes something: upstream's last one, from 0.007 at shift 7, does not."""
    sampling = settled(steps=steps)
    assert (sampling.steps, sampling.shift, sampling.scales) == (steps, 5.0, Scales(1.0, 2.0))
    solver = find_solver(sampling.solver, all_solvers(plugin_manager()))
    even = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    wanted = 5 * even / (1 + 4 * even)
    torch.testing.assert_close(
        solver.schedule(steps, sampling.shift).sigmas.double(), wanted, atol=1e-6, rtol=0
    )


def test_many_steps_are_upstream_s():
    for steps in (None, FEW_STEPS + 1, 40):
        sampling = settled(**({} if steps is None else {"steps": steps}))
        assert (sampling.steps, sampling.solver) == (steps or 40, "multitalk")
        assert (sampling.shift, sampling.scales) == (7.0, Scales(5.0, 4.0))
    assert settled(LARGE).shift == 11.0 and settled(LARGE, steps=4).shift == 5.0


def test_what_is_said_goes_before_the_number_of_steps():
    assert settled(distilled=True).steps == 4 and settled(distilled=True, steps=20).solver == "euler"
    assert settled(distilled=False, steps=4).solver == "multitalk"
    listed = settled(sigmas=[1.0, 0.9, 0.5, 0.0])
    assert (listed.steps, listed.solver) == (3, "euler")
    told = settled(steps=4, shift=11.0, guidance=[3.0], solver="unipc", audio=1.0)
    assert (told.shift, told.scales, told.solver) == (11.0, Scales(3.0, 1.0), "unipc")
