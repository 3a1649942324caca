"""A model with random weights in real files: the shapes of Wan 2.1 I2V 14B with InfiniteTalk, or tiny.

Linears of the blocks are fp8 with a scale per row (LightX2V's layout), the rest bfloat16. Tensors of one
shape share their numbers: what is read, moved and multiplied is as large, and files are written as fast
as they can be.
"""

from __future__ import annotations

import json
import math
import os
import re
import struct
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from wancore.testing import kinds, shapes, sizes
from wancore.testing.files import write_json, write_tokenizer
from wancore.testing.tokenizer import trained_tokenizer, vocabulary
from wancore.testing.upstream import transformer_config

Shapes = Mapping[str, tuple[int, ...]]
FP8_MAX = 448.0
FP8_LINEARS = re.compile(r"blocks\.\d+\.(self_attn\.[qkvo]|cross_attn\.[qo]|ffn\.[02])\.weight")
LORA_TARGETS = re.compile(r"(blocks\.\d+\.(?:self_attn\.[qkvo]|cross_attn\.[qkvo]|ffn\.[02]))\.weight")
NAMES = {torch.bfloat16: "BF16", torch.float32: "F32", torch.float8_e4m3fn: "F8_E4M3"}


@dataclass(frozen=True)
class Scale:
    """Sizes. `constants`: of `wancore.testing.sizes`; the rest: of the speech encoder and the adapter."""

    constants: Mapping[str, Any]
    tokens: int | None
    speech: Mapping[str, Any]
    hidden: int
    audio_tokens: int
    audio_dim: int


REAL = Scale(
    {
        "DIM": 5120, "HEADS": 40, "FFN": 13824, "LAYERS": 40, "TEXT": 4096, "TEXT_HEADS": 64,
        "TEXT_FFN": 10240, "TEXT_LAYERS": 24, "IMAGE": 1280, "IMAGE_HEADS": 16, "IMAGE_FFN": 5120,
        "IMAGE_LAYERS": 32, "IMAGE_SIZE": 224, "IMAGE_TOKENS": 257, "VAE_WIDTHS": {"2.1": (96, 96)},
    },
    256_384, {}, 512, 32, 768,
)  # fmt: skip
TINY = Scale(
    {}, None,
    {
        "hidden_size": 64, "num_attention_heads": 1, "num_hidden_layers": 3, "intermediate_size": 48,
        "conv_dim": [16] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
    },
    16, 4, 24,
)  # fmt: skip


def write_model(root: Path, scale: Scale, device: str, rank: int = 64, text_layers: int | None = None) -> str:
    """Writes the model and a LoRA below `root`, as a folder of models has them; the model's name.

    `text_layers`: fewer than the text encoder has, to write less: a prompt is encoded once.
    """
    name = "infinitetalk-14b" if scale.constants else "infinitetalk-tiny"
    out, kind, tokenizer = root / name, kinds.KINDS["i2v"], trained_tokenizer()
    if text_layers is not None:
        scale = replace(scale, constants={**scale.constants, "TEXT_LAYERS": text_layers})
    with sized(scale):
        base = shapes.transformer_shapes(kind)
        write_json(out / "config.json", transformer_config(kind))
        whole = {**base, **adapter_shapes(scale)}
        write(out / "diffusion_pytorch_model.safetensors", whole, device, fp8=device != "cpu")
        write(out / "Wan2.1_VAE.safetensors", shapes.vae_shapes("2.1", 16), device, torch.float32)
        text = shapes.umt5_shapes(scale.tokens or vocabulary(tokenizer))
        write(out / "models_t5_umt5-xxl-enc-bf16.safetensors", text, device)
        clip = "models_clip_open-clip-xlm-roberta-large-vit-huge-14.safetensors"
        write(out / clip, shapes.clip_shapes(), device)
        write(out / "wav2vec2-chinese-base.safetensors", speech_shapes(scale), device, torch.float32)
        write_tokenizer(out / "google" / "umt5-xxl", tokenizer)
        write(root / "loras" / "distilled.safetensors", lora_shapes(base, rank), device, factor=0.02)
    return name


@contextmanager
def sized(scale: Scale) -> Iterator[None]:
    before = {name: getattr(sizes, name) for name in scale.constants}
    try:
        for name, value in scale.constants.items():
            setattr(sizes, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(sizes, name, value)


def adapter_shapes(scale: Scale) -> Shapes:
    dim, features = sizes.DIM, speech_config(scale).hidden_size * speech_config(scale).num_hidden_layers
    found = shapes.joined(
        shapes.both("audio_proj.proj1", (scale.hidden, 5 * features)),
        shapes.both("audio_proj.proj1_vf", (scale.hidden, 8 * features)),
        shapes.both("audio_proj.proj2", (scale.hidden, scale.hidden)),
        shapes.both("audio_proj.proj3", (scale.audio_tokens * scale.audio_dim, scale.hidden)),
        shapes.both("audio_proj.norm", (scale.audio_dim,)),
    )
    for i in range(sizes.LAYERS):
        found |= shapes.both(f"blocks.{i}.audio_cross_attn.q_linear", (dim, dim))
        found |= shapes.both(f"blocks.{i}.audio_cross_attn.kv_linear", (2 * dim, scale.audio_dim))
        found |= shapes.both(f"blocks.{i}.audio_cross_attn.proj", (dim, dim))
        found |= shapes.both(f"blocks.{i}.norm_x", (dim,))
    return found


def speech_config(scale: Scale) -> Any:
    from transformers import Wav2Vec2Config

    return Wav2Vec2Config(**scale.speech)


def speech_shapes(scale: Scale) -> Shapes:
    from transformers import Wav2Vec2Model

    with torch.device("meta"):
        model = Wav2Vec2Model(speech_config(scale))
    return {f"wav2vec2.{name}": tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def lora_shapes(base: Shapes, rank: int) -> Shapes:
    found: dict[str, tuple[int, ...]] = {}
    for name, shape in base.items():
        if (match := LORA_TARGETS.fullmatch(name)) is not None:
            found[f"diffusion_model.{match[1]}.lora_down.weight"] = (rank, shape[1])
            found[f"diffusion_model.{match[1]}.lora_up.weight"] = (shape[0], rank)
    return found


class Numbers:
    """Random bytes for a shape and type, made once each on the device."""

    def __init__(self, device: str, factor: float) -> None:
        self.device, self.factor = device, factor
        self.made: dict[tuple[Any, ...], memoryview] = {}

    def weight(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """Keeps activations near 1; gains are near 1, biases near 0."""
        value = torch.empty(shape, device=self.device)
        if len([n for n in shape if n > 1]) > 1:
            return value.normal_(0, self.factor * math.prod(shape[1:]) ** -0.5)
        gain = not name.endswith(("bias", "embedding", "head"))
        return value.normal_(float(gain), 0.02)

    def of(self, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> memoryview:
        gain = not name.endswith(("bias", "embedding", "head"))
        key = (shape, dtype, gain if len(shape) < 3 else None)
        if key not in self.made:
            value = self.weight(name, shape)
            if dtype == torch.float8_e4m3fn:
                value = value / value.abs().amax(1, keepdim=True) * FP8_MAX
            raw = value.to(dtype).cpu().contiguous().reshape(-1).view(torch.uint8)
            self.made[key] = memoryview(raw.numpy())
        return self.made[key]

    def scale_of(self, shape: tuple[int, ...]) -> memoryview:
        """What the codes of a weight of this shape are to be multiplied with: its largest is at 4 sigma."""
        value = torch.full((shape[0], 1), 4.0 * self.factor * shape[1] ** -0.5 / FP8_MAX)
        return memoryview(value.view(torch.uint8).reshape(-1).numpy())


def write(
    path: Path, tensors: Shapes, device: str, dtype: torch.dtype = torch.bfloat16, fp8: bool = False,
    factor: float = 1.0,
) -> None:  # fmt: skip
    """A safetensors file; with `fp8` the linears of the blocks as codes with a scale per row."""
    numbers = Numbers(device, factor)
    planned: list[tuple[str, tuple[int, ...], torch.dtype]] = []
    for name, shape in tensors.items():
        coded = fp8 and FP8_LINEARS.fullmatch(name) is not None
        planned.append((name, shape, torch.float8_e4m3fn if coded else dtype))
        if coded:
            planned.append((f"{name}_scale", (shape[0], 1), torch.float32))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        at = write_header(file, planned)
        file.flush()
        with ThreadPoolExecutor(16) as threads:
            waiting = []
            for name, shape, kind in planned:
                scale = name.endswith(".weight_scale")
                data = numbers.scale_of(tensors[name[:-6]]) if scale else numbers.of(name, shape, kind)
                waiting.append(threads.submit(write_at, file.fileno(), data, at))
                at += len(data)
            for done in waiting:
                done.result()


def write_at(descriptor: int, data: memoryview, at: int) -> None:
    while data:
        count = os.pwrite(descriptor, data, at)
        data, at = data[count:], at + count


def write_header(file: BinaryIO, planned: list[tuple[str, tuple[int, ...], torch.dtype]]) -> int:
    """Its size in bytes."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, shape, dtype in planned:
        end = at + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": NAMES[dtype], "shape": list(shape), "data_offsets": [at, end]}
        at = end
    data = json.dumps(header).encode()
    data += b" " * (-len(data) % 8)
    return file.write(struct.pack("<Q", len(data)) + data)
