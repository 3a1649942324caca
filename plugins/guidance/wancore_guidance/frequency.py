"""FreSca: scaling the guidance in frequency space (arXiv:2504.02154; WikiChao/FreSca)."""

from __future__ import annotations

import torch
from torch import Tensor, fft

from wancore.sampling.combination import Combination
from wancore.sampling.method import Method, Run
from wancore_guidance.parameters import FrequencyParameters

PLANE = (-2, -1)


def frequency_scaled(x: Tensor, low: float, high: float, cutoff: int) -> Tensor:
    """x [..., h, w] with its spatial frequencies scaled.

    `low` applies within `cutoff` of the centre of the shifted spectrum, `high` elsewhere. A lower edge
    below 0 counts from the other end, as a Python slice does: cutoffs larger than half the latent are
    legal, and then hardly select low frequencies.
    """
    spectrum = fft.fftshift(fft.fftn(x.float(), dim=PLANE), dim=PLANE)
    rows, columns = (slice(n // 2 - cutoff, n // 2 + cutoff) for n in x.shape[-2:])
    factors = torch.full(x.shape[-2:], high, device=x.device)
    factors[rows, columns] = low
    return fft.ifftn(fft.ifftshift(spectrum * factors, dim=PLANE), dim=PLANE).real.to(x.dtype)


class FrequencyScaling(Method):
    """Filters every difference that guidance adds; without guidance, the prediction itself."""

    def __init__(self, parameters: FrequencyParameters, run: Run) -> None:
        self.parameters = parameters

    def combine(self, combination: Combination) -> None:
        for term in combination.terms:
            filtered = self._filtered(combination.difference(term))
            factor = combination.factors.get(term.b)
            term.difference = filtered if factor is None else filtered * factor
        if not combination.terms:
            base = combination.base
            combination.predictions[base] = self._filtered(combination.predictions[base])

    def _filtered(self, x: Tensor) -> Tensor:
        return frequency_scaled(x, self.parameters.low, self.parameters.high, self.parameters.cutoff)
