"""The VAE beside that of diffusers: decode, encode, time to the first frame, memory, error, kernels.

python -m benchmarks.vae [--version 2.2] [--compiled] [--profile] [--only ours|kernels|floor|error|peer]

Ours runs as the engine runs it: a stream that yields frames as they are decoded, several latent frames at a
time. Medians of 5 after 3 warm-ups (the peer's of 3 after 1); random weights of the published architecture,
bfloat16.
"""

from __future__ import annotations

import argparse
import gc
import os
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.gpu import busy, copy_bandwidth, describe, milliseconds
from benchmarks.vae_floor import convolutions, teraflop, through_cudnn
from benchmarks.vae_kernels import print_convolutions, print_elementwise
from benchmarks.wanvae import diffusers_vae, latents, lay_channels_last, random_vae, video
from wancore.kernels.library import VARIABLE
from wancore.vae import Vae, decoder_need, encoder_need

SIZES = ((512, 512), (480, 832))
PARTS = ("ours", "kernels", "floor", "error", "peer")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--version", choices=("2.1", "2.2"), default="2.1")
    parser.add_argument("--compiled", action="store_true", help="torch.compile of the peer's decoder too")
    parser.add_argument("--profile", action="store_true", help="kernel by kernel, at 512x512")
    parser.add_argument("--only", choices=PARTS, action="append")
    options = parser.parse_args()
    wanted = options.only or PARTS
    busy()
    print(describe())
    copy = copy_bandwidth()
    print(f"Wan {options.version} VAE, 81 frames; copy {copy / 1e9:.0f} GB/s")
    if "ours" in wanted:
        ours(options.version, options.profile)
    if "kernels" in wanted:
        print_elementwise(options.version, copy)
        print_convolutions(options.version)
    if "floor" in wanted:
        floor(options.version)
        release()
    if "error" in wanted:
        error(options.version)
        release()
    if "peer" in wanted:
        peer(options.version, options.compiled)


def ours(version: str, profiled: bool) -> None:
    print("| size | decode ms | first frame ms | peak GB (need) | encode ms | peak GB (need) |")
    print("|---|---|---|---|---|---|")
    for height, width in SIZES:
        print(ours_row(version, height, width), flush=True)
        release()
    if profiled:
        vae, (height, width) = random_vae(version), SIZES[0]
        profile("decode", decoding(vae, latents(vae, height, width)))
        profile("encode", encoding(vae, video(height, width)))


def ours_row(version: str, height: int, width: int) -> str:
    vae = random_vae(version)
    latent = latents(vae, height, width)
    decode, encode = decoding(vae, latent), encoding(vae, video(height, width))
    times = milliseconds(decode), milliseconds(encode)
    first = milliseconds(lambda: next(vae.frame_stream().steps(latent)))
    peaks = [peak_of(run) / 1e9 for run in (decode, encode)]
    architecture = vae.network.architecture
    steps = vae.fit_decoder(*latent.shape[2:]).step, vae.fit_encoder(height, width).step
    needs = [
        need(architecture, height, width, step, 2).total / 1e9
        for need, step in zip((decoder_need, encoder_need), steps, strict=True)
    ]
    return (
        f"| {height}x{width} | {times[0]:.0f} | {first:.1f} | {peaks[0]:.2f} ({needs[0]:.2f}) "
        f"| {times[1]:.0f} | {peaks[1]:.2f} ({needs[1]:.2f}) |"
    )


def decoding(vae: Vae, latent: Tensor) -> Callable[[], None]:
    def run() -> None:
        for _ in vae.frame_stream().steps(latent):
            pass

    return run


def encoding(vae: Vae, clip: Tensor) -> Callable[[], None]:
    def run() -> None:
        vae.encode(clip)

    return run


def peak_of(run: Callable[[], None]) -> int:
    """Bytes beside what was there before."""
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    run()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def floor(version: str) -> None:
    """The convolutions of the plain form at the shapes of a pass of four latent frames, through cuDNN."""
    vae = random_vae(version)
    height, width = SIZES[0]
    latent, clip = latents(vae, height, width), video(height, width)
    os.environ[VARIABLE] = "off"
    runs = {"decode": decoding(vae, latent), "encode": encoding(vae, clip)}
    for name, run in runs.items():
        calls = convolutions(run)
        time, work = through_cudnn(calls.items()), teraflop(calls)
        print(
            f"{name} {height}x{width}: {work:.0f} TFLOP of convolutions, cuDNN alone {time:.0f} ms",
            flush=True,
        )
        print(f"{name} {height}x{width}: ours without kernels {milliseconds(run, 3, 1):.0f} ms", flush=True)
    os.environ[VARIABLE] = "auto"
    del vae, latent, clip, runs
    release()


def peer(version: str, compiled: bool) -> None:
    for height, width in SIZES:
        shapes = random_vae(version)
        latent = latents(shapes, height, width)[None].bfloat16()
        del shapes
        model, clip = diffusers_vae(version), video(height, width)[None].bfloat16()
        peer_row(f"eager {height}x{width}", model, latent, clip)
        lay_channels_last(model)
        form = torch.channels_last_3d
        latent, clip = (t.contiguous(memory_format=form) for t in (latent, clip))
        peer_row(f"channels last {height}x{width}", model, latent, clip)
        if compiled and (height, width) == SIZES[0]:
            model.decoder = torch.compile(model.decoder)
            peer_row("decoder compiled", model, latent, clip)
        release()


@torch.no_grad()
def peer_row(name: str, model: torch.nn.Module, latent: Tensor, clip: Tensor) -> None:
    def decode() -> None:
        model.decode(latent, return_dict=False)  # type: ignore[operator]

    def encode() -> None:
        model.encode(clip, return_dict=False)  # type: ignore[operator]

    times = [milliseconds(run, 3, 1) for run in (decode, encode)]
    peaks = [peak_of(run) / 1e9 for run in (decode, encode)]
    print(
        f"diffusers {name}: decode {times[0]:.0f} ms, {peaks[0]:.2f} GB; "
        f"encode {times[1]:.0f} ms, {peaks[1]:.2f} GB",
        flush=True,
    )


def error(version: str) -> None:
    """Relative error against float32 (TF32 off), at 256x256, 9 frames."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    full, half = random_vae(version, torch.float32), random_vae(version)
    latent, clip = latents(full, 256, 256, 9), video(256, 256, 9)
    os.environ[VARIABLE] = "off"
    wanted = full.decode(latent, clamp=False), full.encode(clip)
    for name, vae, kernels in (
        ("float32 with kernels", full, "auto"),
        ("bfloat16", half, "auto"),
        ("bfloat16 without kernels", half, "off"),
    ):
        os.environ[VARIABLE] = kernels
        found = vae.decode(latent, clamp=False), vae.encode(clip)
        errors = [float((a - b).norm() / b.norm()) for a, b in zip(found, wanted, strict=True)]
        print(f"relative error, {name}: decode {errors[0]:.2e}, encode {errors[1]:.2e}", flush=True)
    os.environ[VARIABLE] = "auto"


def profile(name: str, run: Callable[[], None]) -> None:
    from torch.profiler import ProfilerActivity

    with torch.profiler.profile(activities=[ProfilerActivity.CUDA]) as profiler:
        run()
        torch.cuda.synchronize()
    events = sorted(profiler.key_averages(), key=lambda e: -e.self_device_time_total)
    total = sum(event.self_device_time_total for event in events)
    print(f"{name}: kernels {total / 1e3:.0f} ms")
    for event in events[:14]:
        print(f"  {event.self_device_time_total / 1e3:8.2f} ms x {event.count:4}  {event.key[:100]}")


def release() -> None:
    gc.collect()
    torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
