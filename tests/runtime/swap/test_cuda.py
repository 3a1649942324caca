"""Swapping on a GPU: pinned memory, a side stream, and the same bits."""

from __future__ import annotations

import pytest
import torch

from tests.transformer.models import tiny
from tests.transformer.scene import Scene
from wancore.engine.units import swap_of
from wancore.runtime.swap.copies import pinned
from wancore.transformer.layout import build_layout
from wancore.transformer.predict import EmbeddedText, Inputs, predict

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.mark.parametrize("resident", [0, 1, 4])
@torch.no_grad()
def test_the_same_bits(resident):
    model = tiny(num_layers=6, dim=768, ffn_dim=2048, num_heads=6).requires_grad_(False)
    model = model.to("cuda", torch.bfloat16)
    scene = Scene(model)
    layout = build_layout(scene.canvas, model.frequencies, device="cuda")
    text = EmbeddedText.of(model, scene.text.cuda())
    inputs = Inputs(scene.latents.cuda(), torch.tensor([700.0], device="cuda"), layout, text)
    wanted = predict(model, inputs)
    swap = swap_of(model, {}, torch.device("cuda"), resident)
    before = torch.cuda.memory_allocated()
    swap.engage()
    assert resident or torch.cuda.memory_allocated() < before
    assert all(unit.master is not None and unit.master.is_pinned() for unit in swap.swapped)
    for _ in range(5):
        assert torch.equal(predict(model, inputs), wanted)
    assert torch.equal(EmbeddedText.of(model, scene.text.cuda()).keys[0].text[0].k, text.keys[0].text[0].k)
    swap.keep_resident(6)
    assert torch.equal(predict(model, inputs), wanted)


def test_pinned_memory_is_given_back():
    for _ in range(20):
        assert pinned(1 << 20).is_pinned()
