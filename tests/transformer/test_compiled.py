"""Compiled blocks: the same bits where the compiler only traces, few versions, weights that come and go."""

from __future__ import annotations

import torch
from torch._dynamo.testing import CompileCounter

from tests.runtime.swap.stages import swapped
from tests.transformer.models import tiny
from tests.transformer.scene import Scene
from wancore.transformer.compiled import compile_blocks


@torch.no_grad()
def test_one_version_for_all_blocks_and_swapping_goes_on():
    model = tiny(num_layers=6).requires_grad_(False)
    wanted = Scene(model).predict()
    counter = CompileCounter()
    compile_blocks(model, backend=counter, fullgraph=True)
    assert torch.equal(Scene(model).predict(), wanted)
    assert counter.frame_count == 2, "the first block, and all others"
    swap = swapped(model, resident=2)
    swap.engage()
    for _ in range(2):
        assert torch.equal(Scene(model).predict(), wanted)
    assert swap.counts.copied > 8
    swap.release()
