"""Tiny models and inputs for tests."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wancore.parity import seeded
from wancore.transformer.config import TransformerConfig
from wancore.transformer.model import WanTransformer

TINY = TransformerConfig(
    dim=48, ffn_dim=80, num_heads=2, num_layers=2, in_dim=4, out_dim=4, freq_dim=32, text_dim=12, text_len=6
)


def tiny(**changes: Any) -> WanTransformer:
    """A small model with weights that are a function of their names."""
    return seeded_weights(WanTransformer(TransformerConfig(**{**TINY.__dict__, **changes})))


def seeded_weights(module: Any) -> Any:
    """Fills a module with the weights of `wancore.parity.seeded`."""
    shapes = {name: list(tensor.shape) for name, tensor in module.state_dict().items()}
    module.load_state_dict({k: torch.from_numpy(v) for k, v in seeded.weights(shapes).items()})
    return module


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def relative(got: Tensor, wanted: Tensor) -> float:
    """Largest difference over the largest value."""
    got, wanted = got.detach().double(), wanted.detach().double()
    return float((got - wanted).abs().max() / wanted.abs().max())
