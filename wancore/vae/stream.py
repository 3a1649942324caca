"""Decoding and encoding while the frames arrive, with memory independent of their number."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from wancore.errors import InvalidInput
from wancore.vae.history import History
from wancore.vae.network import VaeNetwork
from wancore.vae.statistics import LatentStatistics
from wancore.vae.still import Resting


class DecoderStream:
    """Turns latent frames into pixel frames as they come: 1 for the first, then `temporal_stride` each.

    What comes out does not depend on how the latent frames are grouped into pushes.
    `step` is the largest number of latent frames per pass through the network: the first goes alone,
    then as many as went before, up to `step`, so that early frames do not wait for late ones. More than
    1 takes more memory and may differ in the last bits. `clamp` limits pixels to [-1, 1].
    """

    def __init__(
        self, network: VaeNetwork, statistics: LatentStatistics, *, step: int = 1, clamp: bool = True
    ) -> None:
        if step < 1:
            raise InvalidInput("step", step, "a positive number of latent frames")
        self.network, self.statistics, self.step, self.clamp = network, statistics, step, clamp
        self.reset()

    def reset(self) -> None:
        """Forgets the past: the next latent frame is a first one."""
        self.history = History()
        self.seen = 0

    def push(self, latent: Tensor) -> Tensor:
        """`latent` [C, n >= 1, h, w], normalised -> float32 [3, frames, H, W] in [-1, 1], same device.

        Raises `InvalidInput` for a wrong shape or a size that changes within the stream.
        """
        return torch.cat(list(self.steps(latent)), dim=1)

    def steps(self, latent: Tensor) -> Iterator[Tensor]:
        """As `push`, but yields the frames of each pass through the network as soon as they exist."""
        check_clip("latent", latent, self.network.architecture.latent_channels)
        start = 0
        while start < latent.shape[1]:
            count = min(self.step, max(1, self.seen), latent.shape[1] - start)
            yield self.decode(latent[:, start : start + count])
            start += count

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Tensor:
        weight = self.network.conv2.weight
        check_same_size(self.history, "latent", latent)
        raw = self.statistics.denormalise(latent[None].to(weight.device)).to(weight.dtype)
        pixels = self.network.decode_chunk(raw, self.history)[0].float()
        self.seen += latent.shape[1]
        return (pixels.clamp_(-1, 1) if self.clamp else pixels).to(latent.device)


class EncoderStream:
    """Turns pixel frames into latent frames: the first frame into one, then `temporal_stride` into one.

    `step` is the largest number of latent frames per pass through the network, as in `DecoderStream`.
    `still_from`: frames from this number on, 1 or more, are all alike, which makes them cheap.
    """

    def __init__(
        self,
        network: VaeNetwork,
        statistics: LatentStatistics,
        *,
        step: int = 1,
        still_from: int | None = None,
    ) -> None:
        if step < 1:
            raise InvalidInput("step", step, "a positive number of latent frames")
        if still_from is not None and still_from < 1:
            raise InvalidInput("still_from", still_from, "1 or more frames before those that are alike")
        self.network, self.statistics, self.step = network, statistics, step
        self.still_from = still_from
        self.reset()

    def reset(self) -> None:
        """Forgets the past: the next frame is a first one."""
        self.history = History()
        self.resting = Resting(self.still_from)

    def push(self, video: Tensor) -> Tensor:
        """`video` [3, n, H, W] in [-1, 1] -> normalised latents, float32 [C, frames, h, w], same device.

        n is 1 + 4k in the first push and 4k after it (for a temporal stride of 4). Raises
        `InvalidInput` for any other n, a wrong shape, or a size that changes within the stream.
        """
        return torch.cat(list(self.steps(video)), dim=1)

    def steps(self, video: Tensor) -> Iterator[Tensor]:
        """As `push`, but yields the latent frames of each pass as soon as they exist."""
        check_clip("video", video, 3)
        group = self.network.architecture.temporal_stride
        lead = 1 if self.history.first else 0
        if video.shape[1] % group != lead % group:
            raise InvalidInput("video", tuple(video.shape), frames_accepted(group, lead))
        start = 0
        while start < video.shape[1]:
            count = 1 if self.history.first else min(self.step * group, video.shape[1] - start)
            yield self.encode(video[:, start : start + count])
            start += count

    @torch.no_grad()
    def encode(self, video: Tensor) -> Tensor:
        weight = self.network.conv1.weight
        check_same_size(self.history, "video", video)
        pixels = video[None].to(weight.device, weight.dtype)
        self.resting.chunk(video.shape[1])
        raw = self.network.encode_chunk(pixels, self.history, self.resting.run)
        return self.statistics.normalise(raw)[0].to(video.device)


def check_clip(field: str, clip: Tensor, channels: int) -> None:
    if clip.ndim != 4 or clip.shape[0] != channels or 0 in clip.shape:
        raise InvalidInput(field, tuple(clip.shape), f"shape [{channels}, frames, height, width]")
    if not clip.is_floating_point():
        raise InvalidInput(field, clip.dtype, "a floating point type")


def check_same_size(history: History, field: str, clip: Tensor) -> None:
    size = (clip.shape[-2], clip.shape[-1])
    if history.first:
        history.size = size
    elif history.size != size:
        raise InvalidInput(field, tuple(clip.shape), f"frames of {list(history.size)}, as the stream began")


def frames_accepted(group: int, lead: int) -> str:
    return f"shape [3, frames, height, width] with {f'{lead} + ' if lead else ''}{group}k frames"
