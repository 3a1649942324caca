"""FreeInit (arXiv:2312.07537; TianxingWu/FreeInit): denoising again from reinitialised noise."""

from __future__ import annotations

import torch
from torch import Tensor, fft

from wancore.sampling.method import Method, Run
from wancore.sampling.noise import NoiseSource, noised
from wancore_guidance.parameters import FreeInitParameters

VOLUME = (-3, -2, -1)
LAST_LEVEL = 0.999  # the last of 1000 timesteps counted from 0


def low_pass(shape: tuple[int, int, int], parameters: FreeInitParameters) -> Tensor:
    """The filter [F, h, w] float32 on a spectrum whose zero frequency is in the centre."""
    if parameters.method == "box":
        return box(shape, parameters.d_s, parameters.d_t)
    stop = parameters.d_s**2
    square = squared_frequency(shape, parameters.d_s / parameters.d_t)
    match parameters.method:
        case "gaussian":
            return torch.exp(-square / (2 * stop)).float()
        case "butterworth":
            return (1 / (1 + (square / stop) ** parameters.n)).float()
        case "ideal":  # the published code compares with 2 d_s, not with its square
            return (square <= 2 * parameters.d_s).float()


def squared_frequency(shape: tuple[int, int, int], time_scale: float) -> Tensor:
    """[F, h, w] float64: squared distance from zero frequency, axes normalised to -1..1."""
    time, height, width = (2 * torch.arange(n, dtype=torch.float64) / n - 1 for n in shape)
    return (time_scale * time)[:, None, None] ** 2 + height[:, None] ** 2 + width**2


def box(shape: tuple[int, int, int], d_s: float, d_t: float) -> Tensor:
    """1 in a box around the centre."""
    frames, height, width = shape
    around_time, around = round(frames // 2 * d_t), round(height // 2 * d_s)
    mask = torch.zeros(shape)
    half = ((frames // 2, around_time), (height // 2, around), (width // 2, around))
    mask[tuple(slice(centre - reach, centre + reach) for centre, reach in half)] = 1
    return mask


def frequency_mix(low: Tensor, high: Tensor, kept: Tensor) -> Tensor:
    """Frequencies of `low` [C, F, h, w] where the filter `kept` [F, h, w] is 1, of `high` where it is 0."""
    low, high = (fft.fftshift(fft.fftn(t.float(), dim=VOLUME), dim=VOLUME) for t in (low, high))
    mixed = low * kept + high * (1 - kept)
    return fft.ifftn(fft.ifftshift(mixed, dim=VOLUME), dim=VOLUME).real


class FreeInit(Method):
    """Between rounds: noises the result with the first round's noise and refreshes its high frequencies.

    Service frames start from fresh noise.
    """

    def __init__(self, parameters: FreeInitParameters, run: Run) -> None:
        self.parameters, self.rounds = parameters, parameters.rounds
        self.clip = slice(run.head, run.head + run.frames)

    def restart(self, latent: Tensor, noise: Tensor, source: NoiseSource) -> Tensor:
        diffused = noised(latent, noise, LAST_LEVEL)[:, self.clip]
        start = source.draw(noise.shape).to(noise)
        frames, height, width = diffused.shape[1:]
        kept = low_pass((frames, height, width), self.parameters).to(noise.device)
        start[:, self.clip] = frequency_mix(diffused, start[:, self.clip], kept)
        return start
