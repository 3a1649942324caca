"""Tiny ReCamMaster models with random weights, and inputs for them."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from wancore.media.mp4 import Mp4Writer
from wancore.parity.seeded import weight
from wancore.testing import sizes

FILE = "diffusion_pytorch_model.safetensors"


def drawn(layers: int = sizes.LAYERS) -> dict[str, np.ndarray]:
    """ReCamMaster's keys on a tiny text-to-video model."""
    dim, shapes = sizes.DIM, {}
    for i in range(layers):
        for name, columns in (("cam_encoder", 12), ("projector", dim)):
            shapes[f"blocks.{i}.{name}.weight"] = (dim, columns)
            shapes[f"blocks.{i}.{name}.bias"] = (dim,)
    return {name: np.asarray(weight(f"recammaster.{name}", shape)) for name, shape in shapes.items()}


def make_module(path: Path) -> Path:
    save_file(drawn(), path)
    return path


def make_merged(base: Path, out: Path) -> Path:
    """A copy of the text-to-video model `base` with ReCamMaster in its transformer, as released."""
    shutil.copytree(base, out)
    save_file(load_file(out / FILE) | drawn(), out / FILE)
    return out


def write_video(path: Path, frames: int, width: int = 80, height: int = 60) -> Path:
    """A bright square that moves over a gradient."""
    rows, columns = np.mgrid[:height, :width]
    made = np.zeros((frames, height, width, 3), np.uint8)
    for i, frame in enumerate(made):
        frame[..., 0], frame[..., 1] = rows * 255 // height, columns * 255 // width
        frame[8:24, 4 * i % (width - 16) : 4 * i % (width - 16) + 16] = 240
    with Mp4Writer(path, Fraction(16), (width, height), crf=4) as writer:
        writer.write(made)
    return path
