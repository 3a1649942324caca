"""Each kernel of the VAE at the shapes of a 512x512 video: bandwidth beside a copy, rate beside cuDNN."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.gpu import milliseconds
from benchmarks.vae_floor import searching
from wancore.kernels import vae as ops

#: Channels, frames of a pass of four latent frames, side.
STAGES = {"2.1": ((96, 16, 512), (192, 16, 256), (384, 8, 128)), "2.2": ((256, 16, 256), (1024, 8, 64))}
ENCODER = {"2.1": (), "2.2": ((160, 16, 256), (320, 16, 128), (640, 8, 64))}
UP = {
    "2.1": ((192, 96, 16, 256, 1), (384, 192, 8, 128, 2), (384, 192, 4, 64, 2)),
    "2.2": ((512, 512, 16, 128, 1), (1024, 1024, 8, 64, 2)),
}


def frames(channels: int, count: int, side: int) -> Tensor:
    x = torch.randn(1, count, side, side, channels, device="cuda", dtype=torch.bfloat16)
    return x.movedim(-1, 1)


def weights(*shape: int) -> Tensor:
    form = torch.channels_last if len(shape) == 4 else torch.channels_last_3d
    weight = torch.randn(shape, device="cuda", dtype=torch.bfloat16) / (weight_size(shape) ** 0.5)
    return weight.contiguous(memory_format=form)


def weight_size(shape: tuple[int, ...]) -> int:
    return int(torch.Size(shape[1:]).numel())


def elementwise(version: str) -> Iterator[tuple[str, Callable[[], object], int]]:
    """Name, what runs, bytes."""
    for channels, count, side in (*STAGES[version], *ENCODER[version]):
        x, gamma = frames(channels, count, side), torch.randn(channels, device="cuda").bfloat16()
        past, shape = frames(channels, 2, side), f"{channels} x {count} x {side}²"
        moved = 2 * x.nbytes + 4 * past.nbytes  # out of the history, into it, and to and from the frames

        def extend(x: Tensor = x, past: Tensor = past, gamma: Tensor = gamma) -> object:
            return ops.extend(x, past, 2, gamma)

        def norm(x: Tensor = x, gamma: Tensor = gamma) -> object:
            return ops.rms_norm(x, gamma)

        yield f"norm, SiLU, behind the history, {shape}", extend, moved
        yield f"norm, {shape}", norm, 2 * x.nbytes
    if version == "2.2":
        x, y = frames(1024, 16, 128), frames(512, 16, 256)
        yield "repeated shortcut", lambda: ops.add_repeated(y, x, ops.Fold(1, 2)), 2 * y.nbytes + x.nbytes
        a, b = frames(160, 16, 256), frames(160, 16, 128)
        yield "averaged shortcut", lambda: ops.add_averaged(b, a, ops.Fold(1, 2)), 2 * b.nbytes + a.nbytes


def print_elementwise(version: str, copy: float) -> None:
    print("| kernel | us | GB/s | of copy |\n|---|---|---|---|")
    with torch.no_grad():
        for name, run, nbytes in elementwise(version):
            time = milliseconds(run, repeats=20)
            rate = nbytes / time * 1e3
            print(f"| {name} | {time * 1e3:.0f} | {rate / 1e9:.0f} | {rate / copy:.0%} |", flush=True)


def print_convolutions(version: str) -> None:
    print("| convolution | cuDNN ms | ours ms | with residual | ours TFLOP/s |\n|---|---|---|---|---|")
    with torch.no_grad():
        for channels, count, side in (*STAGES[version], *ENCODER[version]):
            print(causal(channels, count, side), flush=True)
        for inputs, outputs, count, side, parts in UP[version]:
            print(up(inputs, outputs, count, side, parts), flush=True)


def causal(channels: int, count: int, side: int) -> str:
    x, weight = frames(channels, count + 2, side), weights(channels, channels, 3, 3, 3)
    bias, add = torch.randn(channels, device="cuda").bfloat16(), frames(channels, count, side)
    with searching():
        theirs = milliseconds(lambda: F.conv3d(x, weight, padding=(0, 1, 1)))
    ours = milliseconds(lambda: ops.causal_conv(x, weight, bias))
    added = milliseconds(lambda: ops.causal_conv(x, weight, bias, add))
    rate = 2 * 27 * channels**2 * count * side**2 / ours / 1e9
    kind = "" if ops.conv_fits(x, weight) else " (cuDNN)"
    name = f"3x3x3, {channels} x {count} x {side}²{kind}"
    return f"| {name} | {theirs:.3f} | {ours:.3f} | {added:.3f} | {rate:.0f} |"


def up(inputs: int, outputs: int, count: int, side: int, parts: int) -> str:
    x, weight = frames(inputs * parts, count, side), weights(outputs, inputs, 3, 3)
    with searching():
        theirs = milliseconds(lambda: ops.up_conv_twin(x, weight, None, parts))
    ours = milliseconds(lambda: ops.up_conv(x, weight, None, parts))
    rate = 2 * 4 * inputs * outputs * count * parts * 4 * side**2 / ours / 1e9
    name = f"doubled pixels and 3x3, {inputs} to {outputs} x {count * parts} x {2 * side}²"
    return f"| {name} | {theirs:.3f} | {ours:.3f} | | {rate:.0f} |"
