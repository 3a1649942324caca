"""Muon: momentum whose direction is made orthogonal (Jordan 2024; scaled as in arXiv:2502.16982)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

MOMENTUM = 0.95
STEPS = ((4.0848, -6.8946, 2.9270), (3.9505, -6.3029, 2.6377), (3.7418, -5.5913, 2.3037),
         (2.8769, -3.1427, 1.2046), (2.8366, -3.0525, 1.2012))  # fmt: skip


class Muon:
    """Steps for matrices; those of one shape go together. Takes AdamW's learning rates."""

    def __init__(self, weights: Sequence[Tensor], decay: float = 0.02) -> None:
        self.decay = decay
        shapes = {tuple(w.shape) for w in weights}
        self.groups = [[w for w in weights if tuple(w.shape) == shape] for shape in sorted(shapes)]
        self.momenta = [torch.zeros(len(g), *g[0].shape, device=g[0].device) for g in self.groups]

    @torch.no_grad()
    def step(self, rate: Tensor) -> None:
        """`rate`: the learning rate, a tensor so that a recorded step can be replayed with another."""
        for group, momentum in zip(self.groups, self.momenta, strict=True):
            gradient = torch.stack([w.grad for w in group if w.grad is not None])
            momentum.lerp_(gradient, 1 - MOMENTUM)
            update = orthogonal(gradient.lerp(momentum, MOMENTUM))
            scale = 0.2 * max(update.shape[-2:]) ** 0.5
            kept = 1 - rate * self.decay
            for w, u in zip(group, update.unbind(0), strict=True):
                w.mul_(kept).sub_(u * (rate * scale))


def orthogonal(x: Tensor) -> Tensor:
    """The nearest orthogonal matrices to x [n, r, c], by Newton-Schulz iterations in bfloat16."""
    tall = x.shape[-2] > x.shape[-1]
    y = (x.mT if tall else x).to(torch.bfloat16)
    y = y / (y.norm(dim=(-2, -1), keepdim=True) * 1.02 + 1e-7)
    for a, b, c in STEPS:
        gram = y @ y.mT
        y = a * y + (b * gram + c * gram @ gram) @ y
    return (y.mT if tall else y).float()
