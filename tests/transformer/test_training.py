"""Gradients are those of the textbook, and nothing on the way is changed in place."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.transformer.adapters.single import Single
from tests.transformer.models import relative, tiny
from tests.transformer.points import SCENE, remembering, segment
from tests.transformer.scene import Scene
from tests.transformer.textbook import Sequence, Textbook, grid, rope_factors
from wancore.transformer.attached import Attached
from wancore.transformer.canvas import Canvas, Clock
from wancore.transformer.layout import build_layout
from wancore.transformer.plan import Plan
from wancore.transformer.predict import EmbeddedText, Inputs, predict
from wancore.transformer.rows import Rows

CANVAS = Canvas(3, 2, 2)
ROWS = torch.tensor([0, 1, 2, 1, 1, 0, 2, 2, 0, 1, 2, 0])
CLOCKS = {
    "one timestep": (Clock(), (700.0,), torch.full((12,), 700.0)),
    "per frame": (
        Clock(torch.tensor([0, 1, 2])), (900.0, 20.0, 500.0),
        torch.tensor([900.0, 20.0, 500.0]).repeat_interleave(4),
    ),
    "per token": (Clock(ROWS), (900.0, 20.0, 500.0), torch.tensor([900.0, 20.0, 500.0])[ROWS]),
}  # fmt: skip


@pytest.mark.parametrize("name", CLOCKS)
def test_gradients_are_the_textbooks(name: str) -> None:
    clock, t, times = CLOCKS[name]
    model = tiny()
    scene = Scene(model, CANVAS, t, clock)
    latents = scene.latents.requires_grad_()
    layout = build_layout(CANVAS, model.frequencies, clock)
    text = EmbeddedText.of(model, scene.text)
    predict(model, Inputs(latents, torch.tensor(t), layout, text)).square().mean().backward()

    book = Textbook.of(model)
    book.weights = {k: v.requires_grad_() for k, v in book.weights.items()}
    same = scene.latents.double().requires_grad_()
    positions = rope_factors(grid(3, 2, 2), 24)
    run = Sequence(book.embed(same), times, positions, torch.ones(12, dtype=torch.bool))
    x = book.run(run, book.embed_text(scene.text, 6))
    book.velocity(x, times, (3, 2, 2)).square().mean().backward()

    assert relative(grad(latents), grad(same)) < 1e-4
    largest = max(float(grad(p).abs().max()) for p in book.weights.values())
    for key, parameter in model.named_parameters():
        difference = (grad(parameter).double() - grad(book.weights[key])).abs().max()
        assert float(difference) < 1e-5 * largest, key


def grad(tensor: Tensor) -> Tensor:
    assert tensor.grad is not None
    return tensor.grad


def test_a_step_downhill_lowers_the_loss() -> None:
    model = tiny()
    scene = Scene(model, CANVAS, (900.0, 20.0, 500.0), Clock(torch.tensor([0, 1, 2])))

    def loss() -> Tensor:
        return scene.predict().square().mean()

    before = loss()
    before.backward()
    slope = sum(float(p.grad.square().sum()) for p in model.parameters() if p.grad is not None)
    with torch.no_grad():
        for p in model.parameters():
            p -= 1e-4 * grad(p)
        change = float(loss() - before)
    assert abs(change / (-1e-4 * slope) - 1) < 0.05


def test_gradients_reach_adapters_through_every_kind_of_row() -> None:
    """Memories, plans, partial rows, hints and a segment with a timestep of its own."""
    linear = torch.nn.Linear(48, 48)
    adapters = {
        "a": Single(
            lambda i: {
                "after_cross": lambda x, data, seen: Rows(linear(x[2:9]), 2),
                "after_block": lambda x, data: Rows(linear(x)),
                "attn_out": lambda a, data, seen: linear(a),
            },
            hint=lambda i, x: Rows(linear(x[:12]), 0, 0.5),
        ),
        "b": remembering(30, 3)[0],
    }
    clock = Clock(torch.tensor([0, 1]))
    segments = (segment("own", 3, 5, 0.0, False), segment("running", 4, 6))
    scene = Scene(SCENE.model, t=(900.0, 20.0), clock=clock, segments=segments, plan=Plan.causal([6, 6, 7]))
    predict(
        scene.model, scene.inputs(dict.fromkeys(adapters)), Attached(adapters, 2)
    ).square().mean().backward()
    assert float(grad(linear.weight).abs().max()) > 1e-4
    assert all(p.grad is not None and p.grad.isfinite().all() for p in scene.model.parameters())
    scene.model.zero_grad(set_to_none=True)
