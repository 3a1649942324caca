"""One forward of the 14B text-to-video transformer: floor, ours, and diffusers, in one run.

python -m benchmarks.forward [--tokens 21504,32760] [--parts floor,ours,compiled,diffusers,profile,accuracy]
"""

from __future__ import annotations

import argparse
import gc
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks.forward_floor import elementwise_bytes, products_and_attention
from benchmarks.gpu import busy, copy_bandwidth, describe, milliseconds
from benchmarks.wan14b import CONFIG, SIZES, Size, inputs_for, random_model
from wancore.kernels.library import VARIABLE
from wancore.transformer.compiled import compile_blocks
from wancore.transformer.fp8 import join_linears, use_fp8
from wancore.transformer.predict import predict

PARTS = ("floor", "ours", "compiled", "diffusers", "profile", "accuracy")
SLACK = 1.25  # over the bytes of the elementwise operations, in the target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", default=",".join(SIZES))
    parser.add_argument("--parts", default="floor,ours,diffusers")
    parser.add_argument("--formats", default="bf16,fp8")
    parser.add_argument("--layers", type=int, default=CONFIG.num_layers)
    parser.add_argument("--compiled", action="store_true", help="also diffusers compiled")
    parser.add_argument("--trace", type=Path, help="folder for tables of kernels")
    arguments = parser.parse_args()
    parts, sizes = arguments.parts.split(","), [SIZES[t] for t in arguments.tokens.split(",")]
    warnings.filterwarnings("ignore")
    busy()
    print(describe())
    bandwidth = copy_bandwidth()
    print(f"copy {bandwidth / 1e12:.2f} TB/s; {arguments.layers} blocks; medians of 5 after 3 warm-ups, ms")
    with torch.inference_mode():
        for name in arguments.formats.split(","):
            ours(name == "fp8", arguments.layers, sizes, parts, bandwidth, arguments.trace)
            release()
        if "accuracy" in parts:
            accuracy(sizes[0])
        if "diffusers" in parts:
            diffusers(arguments.layers, sizes, arguments.compiled)
    print(describe())


def ours(
    fp8: bool, layers: int, sizes: Sequence[Size], parts: Sequence[str], bandwidth: float, trace: Path | None
) -> None:
    model, name = random_model(layers, fp8=fp8), "fp8" if fp8 else "bf16"
    print(f"ours {name}: {torch.cuda.memory_allocated() / 1e9:.1f} GB of weights", flush=True)
    for size in sizes:
        inputs = inputs_for(model, size)
        line = f"{name} {size.tokens}:"
        if "floor" in parts:
            alone = milliseconds(products_and_attention(model, size, fp8))
            share = layers / CONFIG.num_layers
            between = elementwise_bytes(size, fp8) * share / bandwidth * 1e3
            line += f" products and attention {alone:.0f}, between them {between:.0f},"
            line += f" target {alone + SLACK * between:.0f},"
        if "ours" in parts:
            torch.cuda.reset_peak_memory_stats()
            time = milliseconds(lambda: predict(model, inputs))  # noqa: B023
            line += f" ours {time:.0f}, peak {torch.cuda.max_memory_allocated() / 1e9:.1f} GB"
        print(line, flush=True)
        if "profile" in parts and size is sizes[0]:
            profile(lambda: predict(model, inputs), f"{name}-{size.tokens}", trace)  # noqa: B023
    if "compiled" in parts:  # as the setting `compile` has it
        compile_blocks(model)
        inputs = inputs_for(model, sizes[0])
        time = milliseconds(lambda: predict(model, inputs))
        print(f"{name} {sizes[0].tokens}: ours with compiled blocks {time:.0f}", flush=True)


def profile(run: Callable[[], object], name: str, folder: Path | None) -> None:
    """Kernels by time, and their share of the time from the first to the last."""
    run()
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as seen:
        run()
        torch.cuda.synchronize()
    kernels = [e for e in seen.events() if e.device_type == torch.autograd.DeviceType.CUDA]  # type: ignore[attr-defined]
    intervals = sorted((e.time_range.start, e.time_range.end) for e in kernels)
    span = max(end for _, end in intervals) - intervals[0][0]
    total = covered(intervals)
    lines = [f"{name}: kernels {total / 1e3:.1f} ms of {span / 1e3:.1f} ms: {total / span:.1%}"]
    by_name: dict[str, list[float]] = {}
    for event in kernels:
        by_name.setdefault(event.name, []).append(event.time_range.elapsed_us())
    ranked = sorted(by_name.items(), key=lambda item: -sum(item[1]))
    lines += [f"{sum(t) / 1e3:9.2f} ms {len(t):5d} x {sum(t) / len(t):9.1f} us  {n[:150]}" for n, t in ranked]
    print("\n".join(lines[:26]), flush=True)
    if folder is not None:
        (folder / f"{name}.txt").write_text("\n".join(lines))


def covered(intervals: Sequence[tuple[float, float]]) -> float:
    """Time that at least one of the intervals, sorted by their starts, takes."""
    total, until = 0.0, intervals[0][0]
    for start, end in intervals:
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def accuracy(size: Size, layers: int = 4) -> None:
    """Relative error of a forward against float32: with the kernels in bfloat16 and fp8, and without."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    reference = random_model(layers, torch.float32, seed=0)
    same = {k: v.bfloat16() for k, v in reference.state_dict().items()}
    for name, tensor in reference.state_dict().items():
        tensor.copy_(same[name])
    wanted = predict(reference, inputs_for(reference, size))
    del reference
    release()
    for name, kernels in (("bf16", "auto"), ("bf16 without kernels", "off"), ("fp8", "auto")):
        os.environ[VARIABLE] = kernels
        model = random_model(layers, seed=0)
        model.load_state_dict(same)
        if name == "fp8":
            use_fp8(model, "cuda")
            join_linears(model)
        got = predict(model, inputs_for(model, size))
        error = float((got - wanted).norm() / wanted.norm())
        print(f"relative error of {layers} blocks in {name}: {error:.2e}", flush=True)
    os.environ[VARIABLE] = "auto"


def diffusers(layers: int, sizes: Sequence[Size], compiled: bool) -> None:
    from diffusers import WanTransformer3DModel, __version__

    with torch.device("meta"):
        model = WanTransformer3DModel(
            attention_head_dim=128, num_attention_heads=CONFIG.num_heads, ffn_dim=CONFIG.ffn_dim,
            num_layers=layers, in_channels=16, out_channels=16,
        )  # fmt: skip
    model = model.to(torch.bfloat16).to_empty(device="cuda").eval()
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.02)
    with torch.device("cuda"):  # what it computes once, not among its weights
        model.rope = type(model.rope)(128, (1, 2, 2), 1024)
    ways: dict[str, Callable[..., object]] = {"eager": model}
    if compiled:
        ways["compiled, fused QKV, cuDNN attention"] = model
    for way, forward in ways.items():
        if way != "eager":
            model.fuse_qkv_projections()
            model.set_attention_backend("_native_cudnn")
            model.compile_repeated_blocks(fullgraph=True)
        for size in sizes:
            latents = torch.randn(
                1, 16, size.frames, 2 * size.height, 2 * size.width, device="cuda", dtype=torch.bfloat16
            )
            text = torch.randn(1, 512, 4096, device="cuda", dtype=torch.bfloat16)
            t = torch.tensor([700.0], device="cuda")
            time = milliseconds(lambda: forward(latents, t, text, return_dict=False))  # noqa: B023
            print(f"diffusers {__version__} {way} {size.tokens}: {time:.0f}", flush=True)


def release() -> None:
    gc.collect()
    torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
