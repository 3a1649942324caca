"""Networks that visit a device: the same results, and the very tensors back."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from wancore.runtime.swap.flat import held_by
from wancore.runtime.visit import visiting

CPU = torch.device("cpu")


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 32)
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(32, 32), nn.GELU()) for _ in range(6))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        for layer in self.layers:
            x = x + layer(x)
        return x


@pytest.mark.parametrize("layers", [None, 100, 4, 3, 0])
@torch.no_grad()
def test_with_room_for_so_many_layers(layers):
    """From everything down to less than one: what has no room passes through."""
    encoder = Encoder().requires_grad_(False)
    ids = torch.arange(10)
    wanted = encoder(ids)
    homes = {(id(h.module), h.name): h.tensor.data_ptr() for h in held_by([encoder])}
    each = sum(h.tensor.nbytes for h in held_by([encoder.layers[0]]))
    room = None if layers is None else 1280 + layers * each
    with visiting(encoder, CPU, room, least=1):
        for _ in range(2):
            assert torch.equal(encoder(ids), wanted)
        moved = sum(homes[id(h.module), h.name] != h.tensor.data_ptr() for h in held_by([encoder.layers]))
        assert bool(moved) == (layers is not None and layers < 6)
    assert {(id(h.module), h.name): h.tensor.data_ptr() for h in held_by([encoder])} == homes
    assert torch.equal(encoder(ids), wanted)
    assert not any(module._forward_pre_hooks for module in encoder.modules())


@torch.no_grad()
def test_an_error_brings_everything_home():
    encoder = Encoder().requires_grad_(False)
    homes = [h.tensor.data_ptr() for h in held_by([encoder])]
    with pytest.raises(IndexError), visiting(encoder, CPU, 0, least=1):
        encoder(torch.tensor([11]))
    assert [h.tensor.data_ptr() for h in held_by([encoder])] == homes
