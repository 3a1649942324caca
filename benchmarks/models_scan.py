"""Listing a folder of 5,000 checkpoints: `python -m benchmarks.models_scan FOLDER [--make COUNT]`.

`--make` fills the folder first: real headers in files of their real sizes that are sparse, so that they
take little of the disk. What counts is CPU time of the command and all of its processes, user and system.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

from wancore.checkpoints.base_keys import BaseSpec, expected_keys
from wancore.checkpoints.ggml_layout import LAYOUTS
from wancore.checkpoints.header import BITS

Shapes = Mapping[str, Sequence[int]]
TEXT = BaseSpec(5120, 13824, 40, 16, 16, (1, 2, 2), 256, 4096, None, None)
IMAGE = BaseSpec(5120, 13824, 40, 36, 16, (1, 2, 2), 256, 4096, 1280, None)
SMALL = BaseSpec(1536, 8960, 30, 16, 16, (1, 2, 2), 256, 4096, None, None)
#: Of a hundred files, so many are LoRAs; people have few base models and many of these.
LORAS = 90
WHOLE = (TEXT, IMAGE, SMALL)


def write(path: Path, shapes: Shapes, dtypes: Mapping[str, str], metadata: Mapping[str, str]) -> None:
    """A safetensors file, its data sparse."""
    document: dict[str, object] = {"__metadata__": dict(metadata)}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + math.prod(shape) * BITS[dtypes[name]] // 8
        document[name] = {"dtype": dtypes[name], "shape": list(shape), "data_offsets": [start, end]}
    header = json.dumps(document, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + end)


def linears(spec: BaseSpec) -> dict[str, Sequence[int]]:
    """The matrices of the blocks."""
    return {
        name.removesuffix(".weight"): shape
        for name, shape in expected_keys(spec).items()
        if name.startswith("blocks.") and len(shape) == 2 and name.endswith(".weight")
    }


def lora(spec: BaseSpec, rank: int, style: str, attention_only: bool) -> dict[str, Sequence[int]]:
    down, up = ("lora_A", "lora_B") if style == "diffusers" else ("lora_down", "lora_up")
    shapes: dict[str, Sequence[int]] = {}
    for name, (rows, columns) in linears(spec).items():
        if attention_only and "attn" not in name:
            continue
        stem = f"lora_unet_{name.replace('.', '_')}" if style == "kohya" else f"diffusion_model.{name}"
        shapes |= {f"{stem}.{down}.weight": [rank, columns], f"{stem}.{up}.weight": [rows, rank]}
        if style == "kohya":
            shapes[f"{stem}.alpha"] = []
    return shapes


def lora_kinds() -> list[tuple[str, Shapes, str]]:
    """(name, shapes, dtype): 24 architectures of 480 to 1,440 keys."""
    kinds = product((TEXT, IMAGE, SMALL), (32, 64), ("diffusers", "kohya"), (True, False))
    return [
        (f"{spec.dim}_{spec.in_dim}_r{rank}_{style}{'_attn' * only}", lora(spec, rank, style, only),
         "BF16" if style == "diffusers" else "F16")
        for spec, rank, style, only in kinds
    ]  # fmt: skip


def whole_kinds() -> Iterator[tuple[str, Shapes, Mapping[str, str]]]:
    """bf16, plain fp8 and scaled fp8 of each size, under ComfyUI's prefix or none."""
    for spec in WHOLE:
        shapes, matrices = expected_keys(spec), linears(spec)
        fp8 = {name: "F8_E4M3" if name.removesuffix(".weight") in matrices else "F32" for name in shapes}
        scales = {f"{name}.scale_weight": () for name in matrices} | {"scaled_fp8": (2,)}
        name = f"{spec.dim}_{spec.in_dim}"
        yield f"{name}_bf16", shapes, dict.fromkeys(shapes, "BF16")
        yield f"{name}_fp8_e4m3fn", shapes, fp8
        yield (
            f"{name}_fp8_scaled",
            {**shapes, **scales},
            {**fp8, **dict.fromkeys(scales, "F32"), "scaled_fp8": "F8_E4M3"},
        )


def vae_shapes() -> dict[str, Sequence[int]]:
    """As many names as Wan's VAE has, with those it is told by."""
    shapes: dict[str, Sequence[int]] = {"conv1.weight": [32, 32, 1, 1, 1], "conv2.weight": [16, 16, 1, 1, 1]}
    for side, blocks in (("encoder", 11), ("decoder", 15)):
        shapes[f"{side}.conv1.weight"] = [96, 3 if side == "encoder" else 16, 3, 3, 3]
        for i in range(blocks):
            stem = f"{side}.{'down' if side == 'encoder' else 'up'}samples.{i}.residual"
            shapes |= {f"{stem}.{n}.weight": [384, 384, 3, 3, 3] for n in (2, 6)}
            shapes |= {f"{stem}.{n}.gamma": [384, 1, 1, 1] for n in (0, 3)}
    return shapes


def text_shapes() -> dict[str, Sequence[int]]:
    shapes: dict[str, Sequence[int]] = {"shared.weight": [256384, 4096]}
    for i in range(24):
        block = f"encoder.block.{i}.layer"
        shapes |= {f"{block}.0.SelfAttention.{n}.weight": [4096, 4096] for n in "qkvo"}
        shapes |= {f"{block}.1.DenseReluDense.{n}.weight": [10240, 4096] for n in ("wi_0", "wi_1")}
        shapes[f"{block}.1.DenseReluDense.wo.weight"] = [4096, 10240]
        shapes |= {f"{block}.{n}.layer_norm.weight": [4096] for n in (0, 1)}
        shapes[f"{block}.0.SelfAttention.relative_attention_bias.weight"] = [32, 64]
    return shapes | {"encoder.final_layer_norm.weight": [4096]}


def write_gguf(path: Path, shapes: Shapes, kind: str) -> None:
    """As city96 stores a transformer: matrices quantised, the rest in float32; data sparse."""
    number, layout = next((n, one) for n, one in LAYOUTS.items() if one.name == kind)
    texts, infos, end = {"general.architecture": "wan", "general.name": path.stem}, b"", 0
    for name, shape in shapes.items():
        quantised = len(shape) == 2 and not shape[-1] % layout.elements
        size = math.prod(shape) // layout.elements * layout.size if quantised else math.prod(shape) * 4
        end = -(-end // 32) * 32
        sizes = struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), number * quantised, end)
        infos, end = infos + text(name) + sizes, end + size
    described = b"".join(text(key) + struct.pack("<I", 8) + text(value) for key, value in texts.items())
    header = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(texts)) + described + infos
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(-(-len(header) // 32) * 32 + end)


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def fill(root: Path, count: int) -> None:
    """`count` files: of a hundred, 90 are LoRAs with metadata of their own."""
    adapters, wholes = lora_kinds(), list(whole_kinds())
    for i in range(count * LORAS // 100):
        name, shapes, dtype = adapters[i % len(adapters)]
        metadata = {"ss_output_name": f"lora {i}", "ss_tag_frequency": json.dumps({f"tag {i}": i}) * 20}
        write(root / "loras" / name / f"{i:04d}.safetensors", shapes, dict.fromkeys(shapes, dtype), metadata)
    for i in range(count - count * LORAS // 100):
        turn, which = i // 4, i % 4
        if which == 0:
            name, shapes, dtypes = wholes[turn % len(wholes)]
            folder = root / "diffusion_models" / name
            write(folder / f"wan_{i:04d}.safetensors", shapes, dtypes, {"number": str(i)})
        elif which == 1:
            kind, spec = ("Q4_K", "Q8_0", "Q5_0")[turn % 3], WHOLE[turn % len(WHOLE)]
            write_gguf(root / "unet" / f"wan_{i:04d}_{kind}.gguf", expected_keys(spec), kind)
        elif which == 2:
            shapes = vae_shapes()
            write(root / "vae" / f"vae_{i:04d}.safetensors", shapes, dict.fromkeys(shapes, "BF16"), {})
        else:
            shapes, dtype = text_shapes(), ("BF16", "F8_E4M3")[turn % 2]
            path = root / "text_encoders" / f"umt5_{i:04d}.safetensors"
            write(path, shapes, dict.fromkeys(shapes, dtype), {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--make", type=int, default=0, metavar="COUNT")
    given = parser.parse_args()
    if given.make:
        fill(given.folder, given.make)
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    listed = subprocess.run(
        [Path(sys.executable).with_name("wancore"), "models", str(given.folder)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    print(listed.stdout.splitlines()[-1])
    print(f"CPU {user:.2f} s user, {system:.2f} s system; {time.perf_counter() - start:.2f} s elapsed")


if __name__ == "__main__":
    main()
