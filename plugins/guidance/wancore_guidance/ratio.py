"""RAAG: ratio-aware adaptive guidance (arXiv:2508.03442)."""

from __future__ import annotations

import torch
from torch import Tensor

from wancore.sampling.combination import Combination
from wancore.sampling.method import Method, Run, needs_guidance
from wancore_guidance.parameters import RatioParameters


def ratio(difference: Tensor, reference: Tensor) -> Tensor:
    """Mean over channels of |difference| / |reference|, Euclidean norms of each channel of [C, F, h, w]."""
    norms = torch.linalg.vector_norm(torch.stack((difference, reference)).float().flatten(2), dim=2)
    return (norms[0] / (norms[1] + 1e-8)).mean()


class RatioAware(Method):
    """scale -> 1 + (scale - 1) exp(-alpha ratio), for every direction of the guidance."""

    def __init__(self, parameters: RatioParameters, run: Run) -> None:
        needs_guidance("raag", run)
        self.alpha = parameters.alpha

    def combine(self, combination: Combination) -> None:
        for term in combination.terms:
            away = ratio(combination.difference(term), combination.predictions[term.b])
            term.scale = 1 + (term.scale - 1) * torch.exp(-self.alpha * away)
