"""What bounds a talking video: the products and attention of its forwards alone, and the VAE as it is."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.forward_floor import products_and_attention
from benchmarks.gpu import busy, milliseconds
from benchmarks.wan14b import CONFIG, SIZES, random_model
from wancore.kernels.activation import quantise_rows
from wancore.transformer.linears import apply
from wancore.transformer.model import WanTransformer
from wancore.vae.load import load_vae

WINDOWS, MOTION, IMAGE_TOKENS, AUDIO_TOKENS = 2, 9, 257, 32


def floor(root: Path, steps: tuple[int, ...]) -> str:
    """For 120 frames of 512x512 in two windows of 81, one pass; in seconds."""
    busy()
    with torch.inference_mode():
        forward = forward_floor() / 1e3
        release()
        encode, decode = vae_times(next(root.glob("*/Wan2.1_VAE.safetensors")))
        release()
    lines = [f"floor: a forward {forward:.3f}, VAE encode {encode:.2f}, decode {decode:.2f}"]
    for count in steps:
        lines.append(f"    {count} steps: {forward * count * WINDOWS + encode + decode:.2f} s")
    return "\n".join(lines)


def forward_floor() -> float:
    """Milliseconds of all products and attention: the base's, and each block's two of audio, one of image."""
    size = SIZES["21504"]
    model = random_model(CONFIG.num_layers, fp8=True)
    return milliseconds(both(products_and_attention(model, size, True), audio_and_image(model, size.frames)))


def both(first: Callable[[], None], second: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        first()
        second()

    return run


def audio_and_image(model: WanTransformer, frames: int) -> Callable[[], None]:
    heads, width = CONFIG.num_heads, CONFIG.dim // CONFIG.num_heads
    rows = SIZES["21504"].tokens

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, device="cuda", dtype=torch.bfloat16)

    x, q = quantise_rows(noise(rows, CONFIG.dim)), noise(rows, heads, width)
    image = noise(IMAGE_TOKENS, heads, width), noise(IMAGE_TOKENS, heads, width)
    audio = noise(AUDIO_TOKENS * frames, heads, width), noise(AUDIO_TOKENS * frames, heads, width)

    def run() -> None:
        for block in model.layers:
            apply(block.self_attn.o, x)
            apply(block.self_attn.o, x)
            model.attend(q, *image)
            grouped = [t.view(frames, AUDIO_TOKENS, heads, width).transpose(1, 2) for t in audio]
            rows_of = q.view(frames, -1, heads, width).transpose(1, 2)
            torch.nn.functional.scaled_dot_product_attention(rows_of, *grouped)

    return run


def vae_times(path: Path) -> tuple[float, float]:
    """Seconds to encode the picture's window and the tail, and to decode both windows as far as needed."""
    vae = load_vae(path, dtype=torch.bfloat16, device="cuda")
    picture, tail = (
        torch.zeros(3, 81, 512, 512, device="cuda"),
        torch.zeros(3, MOTION, 512, 512, device="cuda"),
    )
    latent = torch.randn(16, 21, 64, 64, device="cuda")

    def encode() -> None:
        vae.encode(picture, still_from=1)
        vae.encode(tail)

    def decode() -> None:
        for frames in (21, 12):
            stream = vae.frame_stream()
            for start in range(0, frames, 3):
                stream.push(latent[:, start : start + 3])

    return milliseconds(encode, 3, 2) / 1e3, milliseconds(decode, 3, 2) / 1e3


def release() -> None:
    gc.collect()
    torch.cuda.empty_cache()
