"""The tools of one request: its files, and the encoders that read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wancore.engine.timing import Stages
from wancore.engine.tools import FrameStream, VideoCodec
from wancore.errors import InvalidInput
from wancore.live import Live
from wancore.media.audio import read_audio
from wancore.media.image import read_image
from wancore.media.video import Video, read_video
from wancore.sampling.noise import NoiseSource

if TYPE_CHECKING:
    from wancore.engine.models import Models
    from wancore.request import Request


@dataclass(frozen=True)
class TimedCodec:
    """A codec whose encoding is a stage of its own."""

    codec: VideoCodec
    stages: Stages

    @property
    def latent_channels(self) -> int:
        return self.codec.latent_channels

    @property
    def temporal_stride(self) -> int:
        return self.codec.temporal_stride

    @property
    def spatial_stride(self) -> int:
        return self.codec.spatial_stride

    def encode(self, video: Tensor, *, still_from: int | None = None) -> Tensor:
        with self.stages("vae encode"):
            return self.codec.encode(video, still_from=still_from)

    def frame_stream(self) -> FrameStream:
        return self.codec.frame_stream()


@dataclass
class RequestTools:
    """Reads a request's inputs once each; loads an encoder when it is first needed."""

    request: Request
    models: Models
    noise: NoiseSource
    arriving: Live | None = None
    stages: Stages = field(default_factory=Stages)
    _images: dict[str, Tensor] = field(default_factory=dict)
    _videos: dict[str, Video] = field(default_factory=dict)
    _audio: dict[str, Tensor] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        return self.models.device

    @property
    def vae(self) -> VideoCodec:
        return TimedCodec(self.models.vae, self.stages)

    def text(self, prompts: Sequence[str]) -> list[Tensor]:
        with self.stages("text"):
            return self.models.encode_text(prompts)

    def image_features(self, images: Sequence[Tensor]) -> Tensor:
        with self.stages("image"):
            return self.models.encode_images(images)

    def image(self, role: str) -> Tensor:
        if role not in self._images:
            self._images[role] = torch.from_numpy(read_image(self.path(role), f"inputs.{role}"))
        return self._images[role]

    def video(self, role: str) -> Video:
        if role not in self._videos:
            self._videos[role] = read_video(self.path(role), f"inputs.{role}")
        return self._videos[role]

    def audio(self, role: str) -> Tensor:
        if role not in self._audio:
            self._audio[role] = torch.from_numpy(read_audio(self.path(role), field=f"inputs.{role}"))
        return self._audio[role]

    @property
    def live(self) -> Live:
        if self.arriving is None:
            raise InvalidInput("live", list(self.request.live), "a request whose sound arrives while it runs")
        return self.arriving

    def speech(self, waveform: Tensor, frames: int) -> Tensor:
        with self.stages("speech"):
            return self.models.encode_speech(waveform, frames)

    def drop_sound(self) -> None:
        """Forgets what was heard: an hour of it is large, and no window reads it."""
        self._audio.clear()

    def path(self, role: str) -> Path:
        if role not in self.request.inputs:
            raise InvalidInput(f"inputs.{role}", None, "a file")
        return self.request.inputs[role]

    def draw(self, shape: Sequence[int]) -> Tensor:
        return self.noise.draw(shape)
