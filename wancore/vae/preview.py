"""Quick approximate decoding for previews, with TAEHV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wancore.checkpoints import FileView, load_module, open_view
from wancore.errors import CheckpointError, InvalidInput
from wancore.vae import taehv
from wancore.vae.files import VaeKind, recognise
from wancore.vae.history import History
from wancore.vae.load import channels_last
from wancore.vae.statistics import LatentStatistics
from wancore.vae.stream import check_clip, check_same_size
from wancore.vae.taehv_files import FRAMES, patch_size, read_decoder, read_encoder

LEVELS = 3  # each of which doubles height and width


class PreviewNetwork(nn.Module):
    """The layers of a TAEHV checkpoint, as it names them; `encoder` is empty if the file has none."""

    def __init__(self, encoder: taehv.EncoderSpec | None, decoder: taehv.DecoderSpec, *, wide: bool) -> None:
        super().__init__()
        self.encoder = taehv.encoder(encoder) if encoder else nn.ModuleList()
        self.decoder = taehv.wide_decoder(decoder) if wide else taehv.decoder(decoder)


class PreviewDecoder:
    """TAEHV, between RGB in [0, 1] and the same normalised latents as the VAE it stands in for.

    `raw`: statistics by which latents are made raw first, for networks trained on raw latents.
    Pictures and latents are given back in float32 on the device of the input.
    """

    temporal_stride = FRAMES

    def __init__(
        self,
        network: PreviewNetwork,
        latent_channels: int,
        patch: int,
        raw: LatentStatistics | None = None,
    ) -> None:
        self.network, self.latent_channels, self.patch = network, latent_channels, patch
        self.latents = raw or LatentStatistics.identity(latent_channels)

    @property
    def spatial_stride(self) -> int:
        """Pixels per latent row or column."""
        return int(self.patch * 2**LEVELS)

    def decoder_stream(self) -> PreviewStream:
        """A fresh stream from latent frames to pictures."""
        return PreviewStream(self)

    def decode(self, latent: Tensor) -> Tensor:
        """Normalised `latent` [C, T, h, w] -> RGB [3, 1 + 4(T - 1), H, W] in [0, 1].

        Raises `InvalidInput` for a wrong shape.
        """
        return self.decoder_stream().push(latent)

    def encode(self, video: Tensor) -> Tensor:
        """RGB `video` [3, T, H, W] in [0, 1] -> normalised latents [C, ceil(T / 4), h, w].

        The last frame is repeated up to a multiple of four frames. Raises `InvalidInput` for sides
        that are no multiples of `spatial_stride`, or where the checkpoint holds no encoder.
        """
        check_clip("video", video, 3)
        if not self.network.encoder:
            raise InvalidInput("video", tuple(video.shape), "nothing: this preview checkpoint has no encoder")
        if any(n % self.spatial_stride for n in video.shape[2:]):
            raise InvalidInput(
                "video", tuple(video.shape), f"sides that are multiples of {self.spatial_stride}"
            )
        frames = torch.arange(-(-video.shape[1] // FRAMES) * FRAMES).clamp_max(video.shape[1] - 1)
        history = History()
        chunks = [self.encode_chunk(video[:, group], history) for group in frames.split(FRAMES)]
        return torch.cat(chunks, dim=1)

    @torch.no_grad()
    def encode_chunk(self, video: Tensor, history: History) -> Tensor:
        x = F.pixel_unshuffle(self.placed(video.transpose(0, 1)), self.patch)
        raw = taehv.run(self.network.encoder, x, history)
        return self.latents.normalise(raw).transpose(0, 1).to(video.device)

    @torch.no_grad()
    def decode_chunk(self, latent: Tensor, history: History) -> Tensor:
        raw = self.latents.denormalise(latent.transpose(0, 1))
        x = taehv.run(self.network.decoder, self.placed(raw), history)
        if history.first:
            x = x[FRAMES - 1 :]  # a first latent frame stands for one picture
            history.first = False
        return F.pixel_shuffle(x, self.patch).transpose(0, 1).float().clamp_(0, 1).to(latent.device)

    def placed(self, x: Tensor) -> Tensor:
        weight = next(self.network.parameters())
        return x.to(weight.device, weight.dtype)


class PreviewStream:
    """Turns latent frames into pictures as they come: 1 for the first, 4 for every other."""

    def __init__(self, preview: PreviewDecoder) -> None:
        self.preview = preview
        self.reset()

    def reset(self) -> None:
        """Forgets the past: the next latent frame is a first one."""
        self.history = History()

    def push(self, latent: Tensor) -> Tensor:
        """`latent` [C, n >= 1, h, w], normalised -> RGB float32 [3, frames, H, W] in [0, 1], same device.

        Raises `InvalidInput` for a wrong shape or a size that changes within the stream.
        """
        return torch.cat(list(self.steps(latent)), dim=1)

    def steps(self, latent: Tensor) -> Iterator[Tensor]:
        """As `push`, but yields the pictures of each latent frame as soon as they exist."""
        check_clip("latent", latent, self.preview.latent_channels)
        for frame in latent.unbind(1):
            check_same_size(self.history, "latent", frame)
            yield self.preview.decode_chunk(frame[:, None], self.history)


def load_preview(
    source: Path | str | FileView,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    raw_latents: bool | None = None,
) -> PreviewDecoder:
    """The TAEHV network at `source`: a file, a folder with one checkpoint, or an open view.

    `dtype`: what to compute in (None: as stored). `raw_latents`: whether the network was trained on
    latents that are not normalised, which no key tells; None: True for files named `lighttae*`
    (LightX2V), else False. Raises `CheckpointError`.
    """
    view = source if isinstance(source, FileView) else open_view(source)
    found = recognise(view)
    if found is None:
        raise CheckpointError(view.path, "is no TAEHV network: it has none of the keys that mark one")
    if not found.kind.is_preview:
        raise CheckpointError(view.path, f"is a {found.kind.value}, not a preview; load it with load_vae")
    view, wide = found.view, found.kind is VaeKind.TAEHV_SUPER
    encoder = read_encoder(view) if any(key.startswith("encoder.") for key in view.entries) else None
    decoder = read_decoder(view, wide=wide)
    with torch.device("meta"):
        network = PreviewNetwork(encoder, decoder, wide=wide)
    load_module(network, view, dtype=dtype, device=device)
    if torch.device(device).type == "cuda":
        channels_last(network)
    if raw_latents is None:
        raw_latents = view.path.name.startswith("lighttae")
    raw = LatentStatistics.of(view, decoder.latent) if raw_latents else None
    return PreviewDecoder(network.eval(), decoder.latent, patch_size(view, decoder.pixels), raw)
