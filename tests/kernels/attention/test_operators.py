"""Library functions as torch operators: shapes without data, and one kernel on a GPU."""

from __future__ import annotations

import pytest
import torch

from wancore.kernels.attention.operators import operator
from wancore.kernels.attention.pytorch import grouped_sdpa


def test_an_operator_has_a_fake_and_compiles():
    run = operator("test_operator", grouped_sdpa)
    meta = [torch.empty(2, n, 3, 8, device="meta", dtype=torch.bfloat16) for n in (5, 7, 7)]
    assert run(*meta, None).shape == (2, 5, 3, 8) and run(*meta, None).dtype == torch.bfloat16
    traced = torch.compile(lambda q, k, v: run(q, k, v, None) * 2, backend="eager", fullgraph=True)
    assert traced(*meta).shape == (2, 5, 3, 8)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_every_backend_here_agrees_with_float64():
    from wancore.kernels.attention.choice import BACKENDS
    from wancore.kernels.attention.registry import states

    seen = states(BACKENDS, torch.device("cuda"))
    assert [s.backend.name for s in seen if s.error is not None and s.error > s.backend.tolerance] == []
    assert {"cudnn", "flash", "efficient", "math", "sdpa"} <= {s.backend.name for s in seen if not s.problem}
