"""Weights in bfloat16: activations too, but timesteps, modulation and norms in float32."""

from __future__ import annotations

import pytest
import torch

from tests.transformer.adapters.single import Single
from tests.transformer.models import relative, tiny
from tests.transformer.points import MATRIX, segment
from tests.transformer.scene import Scene
from wancore.transformer.adapter import Values
from wancore.transformer.canvas import Clock
from wancore.transformer.context import Context
from wancore.transformer.levels import Levels
from wancore.transformer.norms import LayerNorm, RMSNorm, modulated_norm
from wancore.transformer.rows import Rows

CLOCKS = {"one": (Clock(), (700.0,)), "frames": (Clock(torch.tensor([0, 1])), (700.0, 20.0))}


@torch.no_grad()
@pytest.mark.parametrize("clock", CLOCKS)
def test_close_to_float32(clock: str) -> None:
    segments = (segment("own", 3, 5, 0.0, False),)
    full, half = (
        Scene(model, clock=CLOCKS[clock][0], t=CLOCKS[clock][1], segments=segments, image_rows=3)
        for model in (tiny(image_dim=10), tiny(image_dim=10).bfloat16())
    )
    got, wanted = half.predict(), full.predict()
    assert got.dtype == torch.float32
    error = (got - wanted).square().mean().sqrt() / wanted.square().mean().sqrt()
    assert 1e-4 < float(error) < 0.03


@torch.no_grad()
def test_what_stays_in_float32_and_what_does_not() -> None:
    contexts: list[Context] = []
    types: dict[str, torch.dtype] = {}

    def watch(i: int) -> dict[str, object]:
        return {
            "tap": lambda n, data: types.update(input=n.dtype),
            "observe": lambda q, k, v, data: types.update(q=q.dtype, k=k.dtype, v=v.dtype),
            "after_block": lambda x, data: (types.update(x=x.dtype), Rows(x @ MATRIX[i].to(x)))[1],
        }

    scene = Scene(tiny().bfloat16(), clock=CLOCKS["frames"][0], t=CLOCKS["frames"][1])
    scene.predict({"a": Single(watch, lambda c: contexts.append(c) or [Values(shift=torch.ones(1, 48))] * 2)})
    (context,) = contexts
    assert context.e.dtype == context.e0.dtype == torch.float32
    assert context.stream.rotation.cos.dtype == torch.float32
    assert set(types) == {"input", "q", "k", "v", "x"} and set(types.values()) == {torch.bfloat16}


@torch.no_grad()
def test_norms_compute_in_float32() -> None:
    """Large equal channels with a small difference: the statistics need more than eight bits."""
    x = (256 + torch.arange(48) % 3).repeat(4, 1).bfloat16()
    table = torch.full((1, 48), 0.5)
    wanted = modulated_norm(x.float(), table, table, Levels(), 1e-6)
    assert relative(modulated_norm(x, table, table, Levels(), 1e-6), wanted) < 5e-3
    layer, rms = LayerNorm(48, 1e-6), RMSNorm(48, 1e-6)
    for norm in (layer, rms):
        assert relative(norm.bfloat16()(x), norm.float()(x.float())) < 5e-3
