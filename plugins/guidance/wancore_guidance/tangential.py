"""TCFG: tangential damping classifier-free guidance (arXiv:2503.18137)."""

from __future__ import annotations

import torch
from torch import Tensor

from wancore.sampling.combination import Combination
from wancore.sampling.method import Method, NoParameters, Run, needs_one_direction


def without_tangent(conditional: Tensor, unconditional: Tensor) -> Tensor:
    """The part of `unconditional` [C, F, h, w] in the direction that both predictions share.

    Of each channel's 2 x (F h w) matrix of the two predictions only the larger singular value is kept.
    The singular vectors come from the 2 x 2 Gram matrix, in float64.
    """
    pair = torch.stack((conditional.flatten(1), unconditional.flatten(1)), dim=1).double()  # [C, 2, n]
    _, vectors = torch.linalg.eigh(pair @ pair.mT)
    shared = vectors[..., -1:]  # [C, 2, 1], of the largest eigenvalue
    kept = shared[:, 1:] * (shared.mT @ pair)  # [C, 1, n]
    return kept.view(unconditional.shape).to(unconditional.dtype)


class Tangential(Method):
    """Damps the unconditional prediction before guidance."""

    def __init__(self, parameters: NoParameters, run: Run) -> None:
        needs_one_direction("tcfg", run)

    def combine(self, combination: Combination) -> None:
        for term in combination.terms:
            conditional, unconditional = combination.predictions[term.a], combination.predictions[term.b]
            combination.predictions[term.b] = without_tangent(conditional, unconditional)
