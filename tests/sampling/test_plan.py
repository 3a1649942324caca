from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from wancore.errors import InvalidInput
from wancore.sampling.builtin import SOLVERS
from wancore.sampling.plan import ScheduleRequest, plan
from wancore.sampling.registry import find_solver
from wancore.sampling.slicing import dense_tail, part

UNIPC = find_solver("unipc", SOLVERS)


def test_steps_and_shift_alone_give_the_solvers_own_schedule():
    assert torch.equal(plan(UNIPC, ScheduleRequest(20, 5.0)).sigmas, UNIPC.schedule(20, 5.0).sigmas)


def test_listed_levels_replace_steps_and_shift():
    made = plan(UNIPC, ScheduleRequest(20, 5.0, sigmas=(0.9, 0.5, 0.0)))
    torch.testing.assert_close(made.sigmas, torch.tensor([0.9, 0.5, 0.0]))


def test_a_solver_with_levels_of_its_own_refuses_listed_ones():
    with pytest.raises(InvalidInput, match="unipc has noise levels of its own"):
        plan(replace(UNIPC, free_levels=False), ScheduleRequest(20, 5.0, sigmas=(0.9, 0.5, 0.0)))


def test_a_dense_tail_is_cut_after_it_is_made():
    made = plan(UNIPC, ScheduleRequest(20, 5.0, start=2, end=10, dense_tail=True))
    assert torch.equal(made.sigmas, part(dense_tail(UNIPC.schedule(20, 5.0)), 2, 10).sigmas)


def test_strength_decides_the_start():
    made = plan(UNIPC, ScheduleRequest(20, 5.0, strength=0.6))
    assert torch.equal(made.sigmas, UNIPC.schedule(20, 5.0).sigmas[7:])


def test_strength_and_a_start_contradict_each_other():
    with pytest.raises(InvalidInput, match="start_step"):
        plan(UNIPC, ScheduleRequest(20, 5.0, start=3, strength=0.6))
