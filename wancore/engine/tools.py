"""What a family may use while it prepares a request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from wancore.live import Live
    from wancore.media.video import Video


class FrameStream(Protocol):
    """Turns latent frames into pixel frames as they come; see `wancore.vae.FittedDecoderStream`."""

    def steps(self, latent: Tensor) -> Iterator[Tensor]:
        """Normalised latents [C, n, h, w] -> frames [3, m, H, W] in [-1, 1], as soon as they exist."""
        ...


class VideoCodec(Protocol):
    """A video autoencoder; see `wancore.vae.Vae`."""

    @property
    def latent_channels(self) -> int: ...

    @property
    def temporal_stride(self) -> int: ...

    @property
    def spatial_stride(self) -> int: ...

    def encode(self, video: Tensor, *, still_from: int | None = None) -> Tensor:
        """[3, 1 + 4k, H, W] in [-1, 1] -> normalised latents [C, 1 + k, h, w].

        `still_from`: frames from this number on, 1 or more, are all alike, which saves most of the work.
        """
        ...

    def frame_stream(self) -> FrameStream:
        """A fresh stream from latent frames to pixel frames."""
        ...


class Tools(Protocol):
    """Encoders and files, loaded when they are first asked for."""

    @property
    def device(self) -> torch.device: ...

    @property
    def vae(self) -> VideoCodec: ...

    def text(self, prompts: Sequence[str]) -> list[Tensor]:
        """Text encoder rows [n, C] of each prompt, without padding."""
        ...

    def image_features(self, images: Sequence[Tensor]) -> Tensor:
        """CLIP features [n, 257, 1280] of images [3, H, W] in [-1, 1], of any sizes."""
        ...

    def image(self, role: str) -> Tensor:
        """The image given for `role`, uint8 [H, W, 3]."""
        ...

    def video(self, role: str) -> Video:
        """The video given for `role`."""
        ...

    def audio(self, role: str) -> Tensor:
        """The sound given for `role`: float32 samples [S], mono, 16 kHz."""
        ...

    @property
    def live(self) -> Live:
        """What arrives while the request runs. Raises `InvalidInput` for a request that is not live."""
        ...

    def speech(self, waveform: Tensor, frames: int) -> Tensor:
        """wav2vec2's hidden states [levels, frames, D] of samples [S] at 16 kHz.

        The first level is the embedding; the convolution features are resampled to `frames` before it.
        """
        ...

    def draw(self, shape: Sequence[int]) -> Tensor:
        """Standard normal noise from the request's generator; families draw in a fixed order."""
        ...
