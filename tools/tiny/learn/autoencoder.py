"""Training of the VAE: what it is given, what it is told, and its latents' statistics."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tools.tiny.corpus.raster import render
from tools.tiny.corpus.scene import Frame, draw_scene
from tools.tiny.learn.master import Master
from tools.tiny.learn.sizes import fresh_vae
from tools.tiny.learn.timed import train
from wancore.vae.history import History
from wancore.vae.layers import RMSNorm
from wancore.vae.load import channels_last
from wancore.vae.network import VaeNetwork

FPS = 16
KL_WEIGHT = 1e-4
RATE = 2e-3
RowsNorm = Callable[[Tensor, Tensor], Tensor]
Loss = Callable[[Tensor], tuple[Tensor, Tensor]]  # video -> the loss, and the mean squared error in it
CANVAS = 128  # clips are drawn at this size, then cut

#: (share of the time until which, frames, side of the cut, clips at a time)
STAGES = ((0.68, 9, 64, 14), (1.01, 13, 128, 5))


def encode(network: VaeNetwork, video: Tensor) -> tuple[Tensor, Tensor]:
    """Video [B, 3, 1 + 4k, H, W] -> mean and log variance [B, C, 1 + k, h, w] of raw latents.

    The network's own chunks: the first frame, then all others, which gives what groups of four give.
    """
    history, parts = History(), []
    for chunk in (video[:, :, :1], video[:, :, 1:]):
        if chunk.shape[2]:
            parts.append(network.conv1(network.encoder(chunk, history)))
            history.first = False
    mean, log_variance = torch.cat(parts, dim=2).chunk(2, dim=1)
    return mean, log_variance.clamp(-14, 4)


def decode(network: VaeNetwork, latent: Tensor) -> Tensor:
    """Raw latents [B, C, 1 + k, h, w] -> video, not clamped."""
    history = History()
    chunks = (latent[:, :, :1], latent[:, :, 1:])
    return torch.cat([network.decode_chunk(c, history) for c in chunks if c.shape[2]], dim=2)


def draw_clips(
    rng: np.random.Generator,
    count: int,
    frames: int,
    device: torch.device,
    cut: int = CANVAS,
    wild: float = 0.0,
) -> Tensor:
    """Clips of the corpus [B, 3, T, cut, cut], each cut around one of its things.

    A share `wild` is mixed with soft noise of all colours: it stands for pictures that users bring.
    """
    scenes = [draw_scene(rng, Frame(1.0, 1.0), frames / FPS) for _ in range(count)]
    video = render(scenes, frames, CANVAS, CANVAS, device)
    if cut < CANVAS:
        parts = []
        for scene, clip in zip(scenes, video, strict=True):
            thing = scene.things[int(rng.integers(len(scene.things)))]
            centre = np.array(thing.path.centre(float(rng.uniform(0, 1)))[::-1]) * CANVAS
            corner = centre - cut / 2 + rng.uniform(-0.25, 0.25, size=2) * cut
            top, left = (int(v) for v in corner.clip(0, CANVAS - cut))
            parts.append(clip[:, :, top : top + cut, left : left + cut])
        video = torch.stack(parts)
    if rng.random() < wild * count:  # one clip of this batch
        noise = drifting_noise(frames, cut, device)
        share = float(rng.uniform(0.3, 1.0))
        video = torch.cat((video[:1] * (1 - share) + noise[None] * share, video[1:]))
    return video


def drifting_noise(frames: int, side: int, device: torch.device) -> Tensor:
    """Sums of soft noise of several coarsenesses [3, T, side, side] in [-1, 1], drifting together."""
    total = torch.zeros(1, 3, side + 16, side + 16, device=device)
    for cell in (48, 24, 12):
        coarse = torch.randn(1, 3, side // cell + 3, side // cell + 3, device=device)
        soft = F.interpolate(coarse, size=total.shape[2:], mode="bicubic")
        total += soft * 0.6 * (cell / 48) ** 0.5
    starts = [round(16 * t / max(frames - 1, 1)) for t in range(frames)]
    return torch.stack([total[0, :, s : s + side, s : s + side] for s in starts], dim=1).clamp(-1, 1)


def loss_of(network: VaeNetwork, video: Tensor) -> tuple[Tensor, Tensor]:
    """The loss, and the mean squared error in it."""
    dtype = network.conv1.weight.dtype
    mean, log_variance = encode(network, video.to(dtype))
    mean, log_variance = mean.float(), log_variance.float()
    sampled = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
    error = decode(network, sampled.to(dtype)).float() - video
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
    squared = error.square().mean()
    return pixel_loss(error) + KL_WEIGHT * divergence, squared


def pixel_loss(error: Tensor) -> Tensor:
    return 2 * error.square().mean() + 0.3 * error.abs().mean()


class Pass:
    """Loss and gradients of one batch of a fixed shape; on a GPU recorded once and replayed."""

    def __init__(self, loss: Loss, master: Master, like: Tensor) -> None:
        self.loss_of, self.input = loss, like.clone()
        self.graph: torch.cuda.CUDAGraph | None = None
        if like.is_cuda:
            self.record(master)

    def record(self, master: Master) -> None:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                master.forget_gradients()
                self.loss_of(self.input)[0].backward()
        torch.cuda.current_stream().wait_stream(side)
        master.forget_gradients()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            loss, self.squared = self.loss_of(self.input)
            loss.backward()

    def __call__(self, master: Master, video: Tensor) -> Tensor:
        """Leaves the gradients in the network; the mean squared error."""
        self.input.copy_(video)
        if self.graph is not None:
            self.graph.replay()
            return self.squared
        master.forget_gradients()
        loss, squared = self.loss_of(self.input)
        loss.backward()
        return squared.detach()


def quick_norms(network: VaeNetwork) -> None:
    """Norms, and the SiLUs after them, as one compiled step each, where a GPU and its compiler are there.

    The product's norm wants long rows, and these have 32 or 64 channels: here most of the time goes.
    """
    on_rows = compiled_rows(network.conv1.weight.device)
    for sequence in network.modules():
        if not isinstance(sequence, nn.Sequential):
            continue
        for layer, after in pairwise(sequence):
            if isinstance(layer, RMSNorm) and isinstance(after, nn.SiLU):
                layer.forward = partial(rows_norm, layer, on_rows)  # type: ignore[method-assign]
                after.forward = nn.Identity().forward  # type: ignore[method-assign]


def rows_norm(norm: RMSNorm, on_rows: RowsNorm, x: Tensor) -> Tensor:
    """silu(norm(x)) of x [B, C, ...], channels last in memory."""
    rows = x.movedim(1, -1)
    y = on_rows(rows.reshape(-1, norm.channels), norm.gamma.flatten())
    return y.view(rows.shape).movedim(-1, 1)


def norm_silu(rows: Tensor, gamma: Tensor) -> Tensor:
    """silu(x / max(|x|, 1e-12) * sqrt(C) * gamma) of rows [N, C]."""
    x = rows.float()
    scale = torch.rsqrt(x.square().sum(1, keepdim=True).clamp_min(1e-24)) * rows.shape[1] ** 0.5
    return F.silu(x * scale * gamma.float()).to(rows.dtype)


@cache
def compiled_rows(device: torch.device) -> RowsNorm:
    """`norm_silu`, compiled if that works on this machine."""
    if device.type != "cuda":
        return norm_silu
    torch._dynamo.config.recompile_limit = 64
    try:
        compiled: RowsNorm = torch.compile(norm_silu, fullgraph=True)
        for channels, grown in ((32, True), (64, True), (32, False)):
            rows = torch.randn(4096, channels, device=device, dtype=torch.bfloat16, requires_grad=grown)
            torch._dynamo.mark_dynamic(rows, 0)
            gamma = torch.ones(channels, device=device, dtype=torch.bfloat16, requires_grad=grown)
            found = compiled(rows, gamma)
            torch.testing.assert_close(found, norm_silu(rows, gamma), atol=0.05, rtol=0.05)
            if grown:
                found.sum().backward()
    except Exception as error:  # whatever a compiler may raise: the plain one is as good, only slower
        print(f"vae: norms are not compiled: {str(error)[:2000]}", flush=True)
        return norm_silu
    return compiled


def train_vae(
    seconds: float,
    device: torch.device,
    say: Callable[[str], None] = print,
    start: VaeNetwork | None = None,
    shrink: int = 1,
    seed: int = 1,
) -> VaeNetwork:
    """A VAE trained for `seconds`, float32, with the weights' moving average; goes on from `start`.

    `shrink` divides the batches.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    # On CPUs the weights' gradients of bfloat16 convolutions can come out as NaN (torch 2.13).
    network = (start or fresh_vae()).to(device, torch.bfloat16 if device.type == "cuda" else torch.float32)
    quick_norms(network)
    if device.type == "cuda":
        channels_last(network)
    torch.backends.cudnn.benchmark, torch.backends.cudnn.benchmark_limit = True, 3
    master = Master([network], RATE, 0.999)
    passes: dict[int, Pass] = {}

    def batch(progress: float) -> tuple[Tensor, str]:
        _, frames, side, count = next(s for s in STAGES if progress < s[0])
        video = draw_clips(rng, max(count // shrink, 1), frames, device, side, wild=0.03)
        if side not in passes:
            passes.clear()
            passes[side] = Pass(partial(loss_of, network), master, video)
        return passes[side](master, video), f", side {side}"

    train("vae", seconds, time.monotonic(), master, batch, say, smooth=0.1)
    passes.clear()
    torch.backends.cudnn.benchmark = False  # what follows has many shapes, each met a few times
    result = fresh_vae()
    with torch.no_grad():
        for own, trained in zip(result.parameters(), master.average, strict=True):
            own.copy_(trained)
    return result


@torch.no_grad()
def statistics(network: VaeNetwork, device: torch.device, clips: int = 192) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the raw latents' channels [C] over the corpus."""
    rng = np.random.default_rng(11)
    dtype = network.conv1.weight.dtype
    found = []
    for _ in range(clips // 16):
        video = draw_clips(rng, 16, 17, device)
        found.append(encode(network, video.to(dtype))[0].float().transpose(0, 1).flatten(1))
    values = torch.cat(found, dim=1)
    return values.mean(1), values.std(1).clamp_min(0.05)


@torch.no_grad()
def with_statistics(
    network: VaeNetwork, mean: Tensor, std: Tensor, wanted: tuple[Tensor, Tensor]
) -> VaeNetwork:
    """The same autoencoder with latents of the `wanted` mean and deviation instead of `mean` and `std`.

    Folded into the two 1x1 convolutions, so that the file needs no statistics of its own.
    """
    factor = (wanted[1] / std).to(network.conv1.weight)
    offset = wanted[0].to(factor) - mean.to(factor) * factor
    channels, bias_in, bias_out = (
        len(factor),
        cast(Tensor, network.conv1.bias),
        cast(Tensor, network.conv2.bias),
    )
    network.conv1.weight[:channels] *= factor.view(-1, 1, 1, 1, 1)
    bias_in[:channels] = bias_in[:channels] * factor + offset
    bias_out -= network.conv2.weight[:, :, 0, 0, 0] @ (offset / factor)
    network.conv2.weight /= factor.view(1, -1, 1, 1, 1)
    return network


@torch.no_grad()
def psnr(network: VaeNetwork, device: torch.device, clips: int = 24, frames: int = 33) -> float:
    """Mean over held-back clips of the peak signal-to-noise ratio in dB of pixels 0..1."""
    rng = np.random.default_rng(99_991)
    dtype, values = network.conv1.weight.dtype, []
    for _ in range(clips // 4):
        video = draw_clips(rng, 4, frames, device)
        out = decode(network, encode(network, video.to(dtype))[0]).float().clamp(-1, 1)
        values += (10 * torch.log10(4 / (out - video).square().mean(dim=(1, 2, 3, 4)))).tolist()
    return float(np.mean(values))


def save(network: VaeNetwork, file: Path) -> None:
    from safetensors.torch import save_file

    save_file({name: t.half().contiguous().cpu() for name, t in network.state_dict().items()}, file)
