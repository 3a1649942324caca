"""Modulation never exists per row: with a timestep per frame or token no tensor is wider than the FFN."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.transformer.models import tiny
from tests.transformer.scene import Scene
from wancore.transformer import levels
from wancore.transformer.canvas import Canvas, Clock
from wancore.transformer.predict import Inputs, predict


class Largest(TorchDispatchMode):
    """The largest floating point tensor that any operation gave, in elements, and its shape."""

    def __init__(self) -> None:
        super().__init__()
        self.elements, self.shape = 0, torch.Size()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage().nbytes() // 4 > self.elements:
                self.elements = tensor.untyped_storage().nbytes() // 4
                self.shape = tensor.shape
        return out


@contextmanager
def largest() -> Iterator[Largest]:
    with Largest() as mode:
        yield mode


def inputs_of(scene: Scene) -> Inputs:
    return scene.inputs()


CANVAS = Canvas(8, 12, 12)
CLOCKS = {
    "per frame": Clock(torch.arange(8)),
    "known frames": Clock(torch.tensor([0, 0, 1, 1, 1, 1, 1, 1]), torch.tensor([0.0, 1.0])),
    "per token": Clock(torch.arange(CANVAS.rows) % 7),
}


@torch.no_grad()
@pytest.mark.parametrize("name", CLOCKS)
def test_no_tensor_is_larger_than_the_hidden_layer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "CHUNK", 128)  # as small beside these rows as the real one beside real rows
    clock = CLOCKS[name]
    times = (500.0,) if clock.scale is not None else tuple(100.0 * i for i in range(clock.count))
    model = tiny(dim=96, ffn_dim=192, num_heads=2)
    scene = Scene(model, CANVAS, times, clock)
    inputs = inputs_of(scene)
    weights = max(p.numel() for p in model.parameters())
    with largest() as seen:
        predict(model, inputs)
    rows, dim = CANVAS.rows, 96
    assert weights < 2 * rows * dim
    assert seen.elements <= 2 * rows * dim, f"{list(seen.shape)}"
    assert seen.elements >= rows * dim  # it did look


@torch.no_grad()
def test_the_measure_sees_modulation_per_row() -> None:
    with largest() as seen:
        torch.ones(6, 96)[None].expand(50, 6, 96) + torch.zeros(50, 1, 1)
    assert seen.elements == 50 * 6 * 96


@torch.no_grad()
def test_few_tensors_of_all_rows_are_held_at_once() -> None:
    """Of S x D each: the model's input and, in a feed-forward, the stream, its input, its hidden layer of
    two, and its result; nothing of the block before, nothing of attention."""
    model = tiny(dim=48, ffn_dim=96, num_layers=3).requires_grad_(False)
    scene = Scene(model, Canvas(4, 8, 8))
    size, held = 4 * 256 * 48, []

    def storages() -> dict[int, int]:
        found = (t for t in gc.get_objects() if type(t) is torch.Tensor)
        tensors = [t for t in found if t.layout is torch.strided]  # other tests leave sparse ones behind
        return {
            s.data_ptr(): s.nbytes() for s in (t.untyped_storage() for t in tensors) if s.nbytes() >= size
        }

    others = storages()

    def count(*arguments: Any) -> None:
        held.append(sum(n for pointer, n in storages().items() if pointer not in others) / size)

    for block in model.layers:
        block.ffn[2].register_forward_hook(count)
    scene.predict()
    assert held[0] <= held[1] == held[2] <= 6
