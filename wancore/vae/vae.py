"""The video autoencoder as the rest of the engine sees it."""

from __future__ import annotations

import torch
from torch import Tensor

from wancore.errors import InvalidInput
from wancore.vae.fitted import FittedDecoderStream
from wancore.vae.memory import Fit, fit_decoder, fit_encoder, free_bytes
from wancore.vae.network import VaeNetwork
from wancore.vae.statistics import LatentStatistics
from wancore.vae.stream import DecoderStream, EncoderStream, check_clip, frames_accepted
from wancore.vae.tiled import TiledDecoderStream, decode_tiled, encode_tiled
from wancore.vae.tiling import Tiling


class Vae:
    """Wan 2.1 or Wan 2.2 causal video VAE, between pixels in [-1, 1] and normalised latents.

    A video of 1 + 4k frames has 1 + k latent frames: the first frame alone, then four each.
    Everything is computed in the network's dtype (norm statistics in float32); latents and pixels
    are given back in float32 on the device of the input. `budget`: bytes that a stream may take beside
    the weights; None: what is free.
    """

    def __init__(
        self, network: VaeNetwork, statistics: LatentStatistics, *, budget: int | None = None
    ) -> None:
        if len(statistics.mean) != network.architecture.latent_channels:
            raise InvalidInput(
                "statistics", statistics, f"{network.architecture.latent_channels} means and deviations"
            )
        self.network = network
        self.statistics = statistics
        self.budget = budget

    @property
    def latent_channels(self) -> int:
        return self.network.architecture.latent_channels

    @property
    def temporal_stride(self) -> int:
        """Pixel frames per latent frame after the first."""
        return self.network.architecture.temporal_stride

    @property
    def spatial_stride(self) -> int:
        """Pixels per latent row or column."""
        return self.network.architecture.spatial_stride

    @property
    def latents_mean(self) -> Tensor:
        """[C], float32."""
        return torch.tensor(self.statistics.mean)

    @property
    def latents_std(self) -> Tensor:
        """[C], float32."""
        return torch.tensor(self.statistics.std)

    @property
    def device(self) -> torch.device:
        return self.network.conv1.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.network.conv1.weight.dtype

    def to(self, device: torch.device | str) -> Vae:
        """Moves the weights; streams that have begun are not moved."""
        self.network.to(device)
        return self

    def latent_frames(self, frames: int) -> int:
        """Latent frames of a video; `frames` beyond the last whole group do not count."""
        return 1 + (frames - 1) // self.temporal_stride

    def pixel_frames(self, latent_frames: int) -> int:
        """Frames of a decoded video."""
        return 1 + (latent_frames - 1) * self.temporal_stride

    def encoder_stream(self, *, step: int = 1, still_from: int | None = None) -> EncoderStream:
        """A fresh stream from pixel frames to latent frames; see `EncoderStream`."""
        return EncoderStream(self.network, self.statistics, step=step, still_from=still_from)

    def decoder_stream(self, *, step: int = 1, clamp: bool = True) -> DecoderStream:
        """A fresh stream from latent frames to pixel frames; see `DecoderStream`."""
        return DecoderStream(self.network, self.statistics, step=step, clamp=clamp)

    def frame_stream(self) -> FittedDecoderStream:
        """A fresh stream that goes through as many latent frames at a time as `budget` allows."""
        return FittedDecoderStream(self)

    def fit_decoder(self, height: int, width: int) -> Fit:
        """How latent frames of height x width latent pixels are decoded within `budget`."""
        return fit_decoder(self.network.architecture, height, width, self.room(), self.dtype.itemsize)

    def fit_encoder(self, height: int, width: int) -> Fit:
        """How frames of height x width pixels are encoded within `budget`."""
        return fit_encoder(self.network.architecture, height, width, self.room(), self.dtype.itemsize)

    def room(self) -> int | None:
        """Bytes that a stream may take: `budget`, or most of what is free on the GPU, or None: anything."""
        return free_bytes(self.device) if self.budget is None else self.budget

    def tiled_decoder_stream(self, tiling: Tiling) -> TiledDecoderStream:
        """As `decoder_stream`, tile by tile; see `TiledDecoderStream`."""
        return TiledDecoderStream(self, tiling)

    def encode(self, video: Tensor, *, truncate: bool = False, still_from: int | None = None) -> Tensor:
        """`video` [3, 1 + 4k, H, W] in [-1, 1] -> normalised latents [C, 1 + k, h, w]: the mean, no sampling.

        `still_from`: frames from this number on, 1 or more, are all alike; then most of them cost nothing.
        `truncate`: leaves out frames after the last whole group, as the original code does silently.
        Raises `InvalidInput` for another number of frames, or for sides that are no multiples of
        `spatial_stride`.
        """
        video = self.checked_video(video, truncate)
        fit = self.fit_encoder(*video.shape[2:])
        if fit.tiling is not None:
            return encode_tiled(self, video, fit.tiling)
        size = [n // self.spatial_stride for n in video.shape[2:]]
        latent = video.new_empty(
            self.latent_channels, self.latent_frames(video.shape[1]), *size, dtype=torch.float32
        )
        done = 0
        step = fit.step
        if still_from is not None:
            # Shorter steps come to rest earlier, and leave the room for what rests.
            step, held = max(1, step // 2), step > 1 or self.room() is None
            still_from = still_from if held else None
        for frames in self.encoder_stream(step=step, still_from=still_from).steps(video):
            latent[:, done : done + frames.shape[1]] = frames
            done += frames.shape[1]
        return latent

    def decode(self, latent: Tensor, *, clamp: bool = True) -> Tensor:
        """Normalised `latent` [C, T, h, w] -> video [3, 1 + 4(T - 1), H, W], in [-1, 1] if `clamp`.

        Raises `InvalidInput` for a wrong shape.
        """
        check_clip("latent", latent, self.latent_channels)
        fit = self.fit_decoder(*latent.shape[2:])
        if fit.tiling is not None:
            return decode_tiled(self, latent, fit.tiling, clamp=clamp)
        size = [n * self.spatial_stride for n in latent.shape[2:]]
        video = latent.new_empty(3, self.pixel_frames(latent.shape[1]), *size, dtype=torch.float32)
        done = 0
        for frames in self.decoder_stream(step=fit.step, clamp=clamp).steps(latent):
            video[:, done : done + frames.shape[1]] = frames
            done += frames.shape[1]
        return video

    def encode_tiled(self, video: Tensor, tiling: Tiling | None = None, *, truncate: bool = False) -> Tensor:
        """As `encode`, tile by tile; see `wancore.vae.tiled.encode_tiled`."""
        return encode_tiled(self, self.checked_video(video, truncate), tiling)

    def decode_tiled(self, latent: Tensor, tiling: Tiling) -> Tensor:
        """As `decode`, tile by tile; see `wancore.vae.tiled.decode_tiled`."""
        check_clip("latent", latent, self.latent_channels)
        return decode_tiled(self, latent, tiling)

    def checked_video(self, video: Tensor, truncate: bool) -> Tensor:
        check_clip("video", video, 3)
        if any(n % self.spatial_stride for n in video.shape[2:]):
            raise InvalidInput(
                "video",
                tuple(video.shape),
                f"shape [3, frames, height, width] with sides that are multiples of {self.spatial_stride}",
            )
        whole = self.pixel_frames(self.latent_frames(video.shape[1]))
        if whole != video.shape[1] and not truncate:
            raise InvalidInput("video", tuple(video.shape), frames_accepted(self.temporal_stride, lead=1))
        return video[:, :whole]
