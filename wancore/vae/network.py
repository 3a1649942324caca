"""The autoencoder networks of Wan 2.1 and Wan 2.2, run chunk by chunk. Tensors are [B, C, T, H, W].

Which of the two a network is follows from its architecture alone. Sources: Wan-Video/Wan2.1
`wan/modules/vae.py`, Wan-Video/Wan2.2 `wan/modules/vae2_2.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from einops import rearrange
from torch import Tensor, nn

from wancore.vae.architecture import Architecture, Attention, Half, Layer, Resample, Residual, Stage
from wancore.vae.convolution import pictures
from wancore.vae.history import History
from wancore.vae.layers import AttentionBlock, CausalConv3d, ResidualBlock, activated, head, middle, run, seen
from wancore.vae.resample import Downsample, Upsample
from wancore.vae.stages import DownStage, UpStage

Run = Callable[[Sequence[nn.Module], Tensor, History], Tensor]


class Encoder(nn.Module):
    def __init__(self, spec: Half) -> None:
        super().__init__()
        self.conv1 = CausalConv3d(spec.channels_in, spec.width, (3, 3, 3))
        self.downsamples = nn.ModuleList(
            DownStage(item, [build(layer, Downsample) for layer in item.layers])
            if isinstance(item, Stage)
            else build(item, Downsample)
            for item in spec.body
        )
        self.middle = middle(spec.middle)
        self.head = head(spec.head, spec.channels_out)

    def forward(self, x: Tensor, history: History, run: Run = run) -> Tensor:
        x = run([self.conv1, *self.downsamples, *self.middle], x, history)
        norm, _, conv = self.head
        return activated(norm, conv, x, history)


class Decoder(nn.Module):
    def __init__(self, spec: Half) -> None:
        super().__init__()
        self.conv1 = CausalConv3d(spec.channels_in, spec.width, (3, 3, 3))
        self.middle = middle(spec.middle)
        self.upsamples = nn.ModuleList(
            UpStage(item, [build(layer, Upsample) for layer in item.layers])
            if isinstance(item, Stage)
            else build(item, Upsample)
            for item in spec.body
        )
        self.head = head(spec.head, spec.channels_out)

    def forward(self, x: Tensor, history: History) -> Tensor:
        x = run([self.conv1, *self.middle, *self.upsamples], x, history)
        norm, _, conv = self.head
        assert isinstance(conv, CausalConv3d)
        return pictures(conv, seen(norm, conv, x, history))


def build(layer: Layer, resample: type[Downsample] | type[Upsample]) -> nn.Module:
    match layer:
        case Residual():
            return ResidualBlock(layer.channels_in, layer.channels_out)
        case Attention():
            return AttentionBlock(layer.channels_in)
        case Resample():
            return resample(layer)


class VaeNetwork(nn.Module):
    """Encoder and decoder between pixels and raw latents (not normalised).

    A chunk is one frame the first time, then `temporal_stride` frames (encoding) or any number of
    latent frames (decoding); `history` is the stream's own.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        latent = architecture.latent_channels
        self.encoder = Encoder(architecture.encoder)
        self.conv1 = nn.Conv3d(2 * latent, 2 * latent, 1)
        self.conv2 = nn.Conv3d(latent, latent, 1)
        self.decoder = Decoder(architecture.decoder)

    def encode_chunk(self, pixels: Tensor, history: History, run: Run = run) -> Tensor:
        """[B, 3, t, H, W] -> the mean of the latent [B, C, t', h, w]. `run`: passes it through layers."""
        patch = self.architecture.patch_size
        # Column offset before row offset, unlike pixel_unshuffle.
        x = rearrange(pixels, "b c t (h hp) (w wp) -> b (c wp hp) t h w", hp=patch, wp=patch)
        mean, _log_variance = self.conv1(self.encoder(x, history, run)).chunk(2, dim=1)
        history.first = False
        return mean

    def decode_chunk(self, latent: Tensor, history: History) -> Tensor:
        """[B, C, t, h, w] -> pixels [B, 3, t', H, W], not clamped."""
        patch = self.architecture.patch_size
        x = self.decoder(self.conv2(latent), history)
        history.first = False
        return rearrange(x, "b (c wp hp) t h w -> b c t (h hp) (w wp)", hp=patch, wp=patch)
