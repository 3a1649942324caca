"""What the video autoencoder does between its convolutions: a CUDA kernel, or PyTorch where there is none.

Frames are [B, C, T, H, W], channels last in memory on a GPU. The kernels take one video at a time
(B = 1) and are not differentiable; everything else goes to the twin of the same signature beside them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from torch import Tensor

from wancore.kernels.constants import constant
from wancore.kernels.library import DTYPES, KernelLibrary

LIBRARY = KernelLibrary(
    "vae",
    ("vae.cu", "vae_conv.cu"),
    {
        "wancore_vae_extend": "ppppiiiiiifi",
        "wancore_vae_upsample": "ppiiiii",
        "wancore_vae_shortcut": "ppiiiiiiiiiii",
        "wancore_vae_add": "pppiii",
        "wancore_vae_conv": "pppppiiiiii",
        "wancore_vae_up_conv": "ppppiiiiii",
    },
)
MIN_NORM = 1e-12
COPY, NORM, NORM_SILU = range(3)
VECTOR = 16  # bytes that a thread takes at once
OUTPUTS = (96, 80)  # output channels of a tile of the convolutions, the first that divides
UP_OUTPUTS = (96, 128)  # likewise of doubled pixels
CUDNN_OUTPUTS = 128  # those of a tile of cuDNN, which is faster than tiles of 80 where it divides
INPUTS = 32  # input channels that they take at once
PLANES = 16  # output channels that it takes channels first
HOPPER = (9, 0)


class Extended(NamedTuple):
    """Frames with those before them in front, and the last ones for the next time."""

    frames: Tensor  # [B, C, count + T, H, W]
    past: Tensor  # [B, C, count, H, W]


def extend(x: Tensor, past: Tensor | None, count: int, gamma: Tensor | None = None) -> Extended:
    """f(x) behind the `count` frames of `past` (None: zeros); f is SiLU of the RMS norm if `gamma` is given.

    `x` [B, C, T, H, W], `gamma` of C elements. `past` may be overwritten with what is returned as such.
    """
    if not fits(x, count):
        return extend_twin(x, past, count, gamma)
    x = x.contiguous(memory_format=torch.channels_last_3d)
    _, channels, frames, height, width = x.shape
    out = frames_like(x, channels, count + frames, height, width)
    kept = (
        frames_like(x, channels, count, height, width)
        if past is None
        else past.contiguous(memory_format=torch.channels_last_3d)
    )
    LIBRARY.call(
        "wancore_vae_extend", x.device, x, gamma, kept, out, frames, height * width, channels, count,
        past is None, COPY if gamma is None else NORM_SILU, MIN_NORM**2 / channels, DTYPES[x.dtype],
    )  # fmt: skip
    return Extended(out, kept)


def extend_twin(x: Tensor, past: Tensor | None, count: int, gamma: Tensor | None = None) -> Extended:
    if gamma is not None:
        x = F.silu(rms_norm_twin(x, gamma))
    extended = F.pad(x, (0, 0, 0, 0, count, 0)) if past is None else torch.cat([past, x], 2)
    # A copy: a slice would keep the whole chunk alive.
    return Extended(extended, extended[:, :, extended.shape[2] - count :].clone())


def rms_norm(x: Tensor, gamma: Tensor) -> Tensor:
    """x / max(|x|, 1e-12) * sqrt(C) * gamma over the channels of `x` [B, C, ...]; float32 inside."""
    rows = x.movedim(1, -1)
    if not serves(x, x.shape[1]):
        return rms_norm_twin(x, gamma)
    rows = rows.contiguous()
    out = torch.empty_like(rows)
    channels = x.shape[1]
    LIBRARY.call(
        "wancore_vae_extend", x.device, rows, gamma, None, out, 1, rows.numel() // channels, channels, 0,
        True, NORM, MIN_NORM**2 / channels, DTYPES[x.dtype],
    )  # fmt: skip
    return out.movedim(-1, 1)


def rms_norm_twin(x: Tensor, gamma: Tensor) -> Tensor:
    channels = x.shape[1]
    y = F.rms_norm(x.movedim(1, -1), (channels,), gamma.flatten(), MIN_NORM**2 / channels)
    return y.movedim(-1, 1)


def upsample(x: Tensor, parts: int) -> Tensor:
    """[B, parts * C, T, H, W] -> [B, C, parts * T, 2H, 2W]: frames out of the channels, pixels doubled."""
    if not fits(x, 0, parts):
        return upsample_twin(x, parts)
    x = x.contiguous(memory_format=torch.channels_last_3d)
    _, channels, frames, height, width = x.shape
    out = frames_like(x, channels // parts, parts * frames, 2 * height, 2 * width)
    size = channels // parts * x.element_size()
    LIBRARY.call("wancore_vae_upsample", x.device, x, out, frames, height, width, parts, size)
    return out


def upsample_twin(x: Tensor, parts: int) -> Tensor:
    x = rearrange(x, "b (parts c) t h w -> b c (t parts) h w", parts=parts)
    frames = rearrange(x, "b c t h w -> (b t) c h w")
    # Exact in every dtype.
    y = F.interpolate(frames, scale_factor=2, mode="nearest-exact")
    return rearrange(y, "(b t) c h w -> b c t h w", b=x.shape[0])


def causal_conv(x: Tensor, weight: Tensor, bias: Tensor | None, add: Tensor | None = None) -> Tensor:
    """3x3x3 convolution of `x` [B, C, 2 + T, H, W], padded with zeros in space, plus `add` [B, C', T, H, W].

    `weight` [C', C, 3, 3, 3]. A kernel where `conv_fits`.
    """
    if not conv_fits(x, weight):
        return causal_conv_twin(x, weight, bias, add)
    out = frames_like(x, weight.shape[0], x.shape[2] - 2, x.shape[3], x.shape[4])
    if add is not None:
        add = add.contiguous(memory_format=torch.channels_last_3d)
    call_conv(x, weight, bias, add, out, planes=False)
    return out


def causal_conv_twin(x: Tensor, weight: Tensor, bias: Tensor | None, add: Tensor | None = None) -> Tensor:
    y = F.conv3d(x, weight, bias, padding=(0, 1, 1))
    return y if add is None else y + add


def causal_conv_planes(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """As `causal_conv`, into few channels: float32, channels first. A kernel where `planes_fit`."""
    if not planes_fit(x, weight):
        return causal_conv_planes_twin(x, weight, bias)
    shape = (1, weight.shape[0], x.shape[2] - 2, x.shape[3], x.shape[4])
    out = x.new_empty(shape, dtype=torch.float32)
    call_conv(x, weight, bias, None, out, planes=True)
    return out


def causal_conv_planes_twin(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return causal_conv_twin(x, weight, bias).to(max(x.dtype, torch.float32, key=lambda t: t.itemsize))


def call_conv(
    x: Tensor, weight: Tensor, bias: Tensor | None, add: Tensor | None, out: Tensor, *, planes: bool
) -> None:
    missing = -x.shape[1] % INPUTS
    if missing:  # channels of zeros
        x, weight = (F.pad(t, (0, 0, 0, 0, 0, 0, 0, missing)) for t in (x, weight))
    x = x.contiguous(memory_format=torch.channels_last_3d)
    weight = weight.contiguous(memory_format=torch.channels_last_3d)
    _, inputs, frames, height, width = x.shape
    sizes = (frames - 2, height, width, inputs, weight.shape[0], planes)
    LIBRARY.call("wancore_vae_conv", x.device, x, weight, bias, add, out, *sizes)


def conv_fits(x: Tensor, weight: Tensor) -> bool:
    """Whether `causal_conv` has a kernel: `on_hopper`, channels in whole tiles that cuDNN fills badly."""
    outputs = weight.shape[0]
    whole = outputs % OUTPUTS[0] == 0 or (outputs % OUTPUTS[1] == 0 and outputs % CUDNN_OUTPUTS != 0)
    return whole and causal(weight) and on_hopper(x)


def planes_fit(x: Tensor, weight: Tensor) -> bool:
    """Whether `causal_conv_planes` has a kernel: `on_hopper`, up to 16 output channels."""
    return weight.shape[0] <= PLANES and causal(weight) and on_hopper(x)


def causal(weight: Tensor) -> bool:
    """3x3x3, and few or whole groups of input channels: others would be padded at too high a cost."""
    return weight.shape[2:] == (3, 3, 3) and (weight.shape[1] % INPUTS == 0 or weight.shape[1] < 3 * INPUTS)


def on_hopper(x: Tensor) -> bool:
    """Whether the convolutions have kernels: on Hopper, in bfloat16, for one video, no gradients wanted."""
    if x.device.type != "cuda" or x.dtype != torch.bfloat16 or x.shape[0] != 1 or torch.is_grad_enabled():
        return False
    return torch.cuda.get_device_capability(x.device) == HOPPER and LIBRARY.serves(x.device)


#: For each half of doubled rows: which rows of a 3x3 kernel fall on the first and on the second row it sees.
HALVES = (((1, 0, 0), (0, 1, 1)), ((1, 1, 0), (0, 0, 1)))


def up_conv(x: Tensor, weight: Tensor, bias: Tensor | None, parts: int) -> Tensor:
    """`upsample` and then a 3x3 convolution: [B, parts * C, T, H, W] -> [B, C', parts * T, 2H, 2W].

    `weight` [C', C, 3, 3]. The kernel, where `up_fits`, computes four 2x2 convolutions of `x` itself.
    """
    if not up_fits(x, weight):
        return up_conv_twin(x, weight, bias, parts)
    x = x.contiguous(memory_format=torch.channels_last_3d)
    halves = constant(HALVES, x.device)
    quarters = torch.einsum("yak,xbl,oikl->yxoabi", halves, halves, weight.float())
    quarters = quarters.to(x.dtype).contiguous()
    _, _, frames, height, width = x.shape
    outputs, inputs = weight.shape[:2]
    out = frames_like(x, outputs, parts * frames, 2 * height, 2 * width)
    sizes = (frames, height, width, inputs, outputs, parts)
    LIBRARY.call("wancore_vae_up_conv", x.device, x, quarters, bias, out, *sizes)
    return out


def up_conv_twin(x: Tensor, weight: Tensor, bias: Tensor | None, parts: int) -> Tensor:
    frames = rearrange(upsample(x, parts), "b c t h w -> (b t) c h w")
    y = F.conv2d(frames, weight, bias, padding=1)
    return rearrange(y, "(b t) c h w -> b c t h w", b=x.shape[0])


def up_fits(x: Tensor, weight: Tensor) -> bool:
    """Whether `up_conv` has a kernel: `on_hopper`, channels in whole tiles."""
    whole = any(weight.shape[0] % n == 0 for n in UP_OUTPUTS) and weight.shape[1] % INPUTS == 0
    return whole and on_hopper(x)


def add_bias(y: Tensor, bias: Tensor, add: Tensor | None = None) -> Tensor:
    """y + bias over the channels + add, for `y` and `add` [B, C, T, H, W]; `y` may be overwritten."""
    if not fits(y, 0):
        return add_bias_twin(y, bias, add)
    y = y.contiguous(memory_format=torch.channels_last_3d)
    if add is not None:
        add = add.contiguous(memory_format=torch.channels_last_3d)
    pixels = y.numel() // y.shape[1]
    LIBRARY.call("wancore_vae_add", y.device, y, bias, add, pixels, y.shape[1], DTYPES[y.dtype])
    return y


def add_bias_twin(y: Tensor, bias: Tensor, add: Tensor | None = None) -> Tensor:
    y = y + bias.view(-1, 1, 1, 1)
    return y if add is None else y + add


class Fold(NamedTuple):
    """The shortcuts of Wan 2.2: `time` frames and `space` x `space` pixels lie in the channels of one."""

    time: int
    space: int


def add_averaged(y: Tensor, x: Tensor, fold: Fold) -> Tensor:
    """y + x folded: channels (channel, time, row, column), of which as many as it takes have their mean.

    `y` [B, C', ceil(T / time), H / space, W / space], may be overwritten; `x` [B, C, T, H, W]; missing
    frames are zeros in front.
    """
    if not (fits(y, 0) and fits(x, 0)):
        return add_averaged_twin(y, x, fold)
    share = x.shape[1] * fold.time * fold.space**2 // y.shape[1]
    return shortcut(y, x, fold, -x.shape[2] % fold.time, share, repeats=False)


def add_averaged_twin(y: Tensor, x: Tensor, fold: Fold) -> Tensor:
    x = F.pad(x, (0, 0, 0, 0, -x.shape[2] % fold.time, 0))
    x = rearrange(
        x,
        "b c (t ft) (h fh) (w fw) -> b (c ft fh fw) t h w",
        ft=fold.time, fh=fold.space, fw=fold.space,
    )  # fmt: skip
    return y + reduce(x, "b (c group) t h w -> b c t h w", "mean", c=y.shape[1])


def add_repeated(y: Tensor, x: Tensor, fold: Fold) -> Tensor:
    """y + x unfolded, after every channel of x was repeated as often as it takes.

    `y` [B, C', T', H * space, W * space], may be overwritten; `x` [B, C, T, H, W]. T' is T * time, or
    fewer: then the first frames are left out.
    """
    if not (fits(y, 0) and fits(x, 0)):
        return add_repeated_twin(y, x, fold)
    share = y.shape[1] * fold.time * fold.space**2 // x.shape[1]
    return shortcut(y, x, fold, x.shape[2] * fold.time - y.shape[2], share, repeats=True)


def add_repeated_twin(y: Tensor, x: Tensor, fold: Fold) -> Tensor:
    times = y.shape[1] * fold.time * fold.space**2 // x.shape[1]
    x = rearrange(
        x.repeat_interleave(times, dim=1),
        "b (c ft fh fw) t h w -> b c (t ft) (h fh) (w fw)",
        ft=fold.time, fh=fold.space, fw=fold.space,
    )  # fmt: skip
    return y + x[:, :, x.shape[2] - y.shape[2] :]


def shortcut(y: Tensor, x: Tensor, fold: Fold, skip: int, share: int, *, repeats: bool) -> Tensor:
    y = y.contiguous(memory_format=torch.channels_last_3d)
    x = x.contiguous(memory_format=torch.channels_last_3d)
    _, channels, frames, height, width = y.shape
    LIBRARY.call(
        "wancore_vae_shortcut", y.device, y, x, frames, height, width, channels, x.shape[1], *fold, skip,
        share, repeats, DTYPES[y.dtype],
    )  # fmt: skip
    return y


def fits(x: Tensor, past: int, parts: int = 1) -> bool:
    """Whether the kernels take `x`: one video, and what `serves` asks for."""
    return x.shape[0] == 1 and past <= 2 and serves(x, x.shape[1] // parts)


def serves(x: Tensor, channels: int) -> bool:
    """Whether the kernels take `x`: on a GPU, whole vectors of channels, no gradients wanted."""
    if x.device.type != "cuda" or x.dtype not in DTYPES or (torch.is_grad_enabled() and x.requires_grad):
        return False
    size = channels * x.element_size()
    return size % VECTOR == 0 and whole_warps(size // VECTOR) and LIBRARY.serves(x.device)


def whole_warps(vectors: int) -> bool:
    """Whether 1 to 5 vectors a thread share the vectors of a pixel out to a power of two of threads."""
    shares = (vectors // n for n in range(1, 6) if vectors % n == 0)
    return any(threads <= 32 and threads & (threads - 1) == 0 for threads in shares)


def frames_like(x: Tensor, channels: int, frames: int, height: int, width: int) -> Tensor:
    """Room for one video, channels last."""
    return x.new_empty(1, frames, height, width, channels).movedim(-1, 1)
