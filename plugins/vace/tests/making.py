"""Tiny VACE models with random weights, and inputs for them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import load_file, save_file

from wancore.checkpoints.base_keys import BaseSpec, expected_keys
from wancore.media.mp4 import Mp4Writer
from wancore.parity.seeded import weight
from wancore.testing import sizes

FILE = "diffusion_pytorch_model.safetensors"
CHANNELS = 96


def shapes(blocks: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of VACE's keys on a tiny text-to-video model."""
    dim = sizes.DIM
    spec = BaseSpec(
        dim,
        sizes.FFN,
        blocks,
        16,
        16,
        (1, 2, 2),
        sizes.FREQ,
        sizes.TEXT,
        image_dim=None,
        image_positions=None,
    )
    copied = {f"vace_{n}": shape for n, shape in expected_keys(spec).items() if n.startswith("blocks.")}
    ways = ["vace_blocks.0.before_proj", *(f"vace_blocks.{n}.after_proj" for n in range(blocks))]
    linears = {f"{way}.weight": (dim, dim) for way in ways} | {f"{way}.bias": (dim,) for way in ways}
    patch = {"vace_patch_embedding.weight": (dim, CHANNELS, 1, 2, 2), "vace_patch_embedding.bias": (dim,)}
    return copied | linears | patch


def drawn(stream: str, blocks: int = 2) -> dict[str, np.ndarray]:
    return {name: np.asarray(weight(f"{stream}.{name}", shape)) for name, shape in shapes(blocks).items()}


def make_module(path: Path, stream: str = "vace", blocks: int = 2) -> Path:
    """VACE's keys alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(drawn(stream, blocks), path)
    return path


def make_merged(
    base: Path, out: Path, experts: Sequence[str] = ("",), layers: Sequence[int] = (0, 1)
) -> Path:
    """A copy of the text-to-video model `base` whose transformers hold VACE's keys."""
    shutil.copytree(base, out)
    for expert in experts:
        merge(out / expert, drawn(f"vace{expert}", len(layers)), layers)
    return out


def merge(folder: Path, arrays: dict[str, np.ndarray], layers: Sequence[int]) -> None:
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "vace", "vace_in_dim": CHANNELS, "vace_layers": list(layers)}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(load_file(folder / FILE) | arrays, folder / FILE)


def write_video(path: Path, frames: int = 9, width: int = 64, height: int = 48, start: int = 0) -> Path:
    """A bright square that moves over a gradient."""
    rows, columns = np.mgrid[:height, :width]
    made = np.zeros((frames, height, width, 3), np.uint8)
    for i, frame in enumerate(made):
        frame[..., 0], frame[..., 1] = rows * 255 // height, columns * 255 // width
        left = (start + 4 * i) % (width - 16)
        frame[8:24, left : left + 16] = 240
    return written(path, made)


def write_mask_video(path: Path, frames: int = 9, width: int = 64, height: int = 48) -> Path:
    """White squares that move over black."""
    made = np.zeros((frames, height, width, 3), np.uint8)
    for i, frame in enumerate(made):
        frame[12:36, 8 + i : 32 + i] = 255
    return written(path, made)


def written(path: Path, frames: np.ndarray) -> Path:
    with Mp4Writer(path, Fraction(16), (frames.shape[2], frames.shape[1]), crf=4) as writer:
        writer.write(frames)
    return path


def write_image(path: Path, width: int = 64, height: int = 48, shade: int = 0) -> Path:
    rows, columns = np.mgrid[:height, :width]
    blue = np.full_like(rows, shade)
    pixels = np.stack((rows * 255 // height, columns * 255 // width, blue), axis=-1)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def write_mask(path: Path, width: int = 64, height: int = 48) -> Path:
    pixels = np.zeros((height, width), np.uint8)
    pixels[height // 4 : height // 2, width // 4 : width // 2] = 255
    Image.fromarray(pixels).save(path)
    return path


def write_inputs(folder: Path) -> dict[str, Path]:
    """Inputs by name."""
    boxes = folder / "boxes.json"
    boxes.write_text(json.dumps([[4, 5, 20, 18], [22, 9, 45, 30]]))
    return {
        "video": write_video(folder / "video.mp4"),
        "other": write_video(folder / "other.mp4", start=20),
        "clip": write_video(folder / "clip.mp4", frames=4),
        "wide": write_video(folder / "wide.mp4", frames=5, width=128, height=48),
        "mask": write_mask(folder / "mask.png"),
        "masks": write_mask_video(folder / "masks.mp4"),
        "image": write_image(folder / "image.png"),
        "last": write_image(folder / "last.png", 40, 60, shade=200),
        "portrait": write_image(folder / "portrait.png", 30, 50, shade=120),
        "portrait_mask": write_mask(folder / "portrait_mask.png", 30, 50),
        "boxes": boxes,
    }
