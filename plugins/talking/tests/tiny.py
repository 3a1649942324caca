"""A tiny image-to-video model with a speech encoder and an audio adapter, and sound to drive it."""

from __future__ import annotations

import shutil
import wave
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file
from transformers import Wav2Vec2Config, Wav2Vec2Model

from wancore.parity.seeded import weights
from wancore.testing import make_tiny, sizes

SPEECH, LAYERS = 64, 3  # width and layers of the speech encoder
HIDDEN, TOKENS, AUDIO = 16, 4, 24  # of the audio projection
RATE = 16_000
MODEL_FILE = "diffusion_pytorch_model.safetensors"


def adapter_weights(dim: int = sizes.DIM, blocks: int = sizes.LAYERS) -> dict[str, np.ndarray]:
    features = SPEECH * LAYERS
    shapes: dict[str, list[int]] = {
        "audio_proj.proj1.weight": [HIDDEN, 5 * features],
        "audio_proj.proj1_vf.weight": [HIDDEN, 8 * features],
        "audio_proj.proj2.weight": [HIDDEN, HIDDEN],
        "audio_proj.proj3.weight": [TOKENS * AUDIO, HIDDEN],
        "audio_proj.norm.weight": [AUDIO],
    }
    for i in range(blocks):
        attention = f"blocks.{i}.audio_cross_attn"
        shapes |= {
            f"{attention}.q_linear.weight": [dim, dim],
            f"{attention}.kv_linear.weight": [2 * dim, AUDIO],
            f"{attention}.proj.weight": [dim, dim],
            f"blocks.{i}.norm_x.weight": [dim],
        }
    biases = {name.replace("weight", "bias"): shape[:1] for name, shape in shapes.items()}
    return weights({**shapes, **biases})


def write_speech_encoder(path: Path) -> None:
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        hidden_size=SPEECH, num_attention_heads=1, num_hidden_layers=LAYERS, intermediate_size=48,
        conv_dim=[16] * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4,
    )  # fmt: skip
    state = Wav2Vec2Model(config).eval().state_dict()
    save_file({f"wav2vec2.{name}": tensor.numpy() for name, tensor in state.items()}, str(path))


def make_model(folder: Path) -> Path:
    """The base model with a speech encoder beside it; no adapter."""
    make_tiny("i2v", folder)
    write_speech_encoder(folder / "wav2vec2-chinese-base.safetensors")
    return folder


def write_module(folder: Path, family: str, **shape: int) -> Path:
    path = folder / f"{family}.safetensors"
    save_file(adapter_weights(**shape), str(path))
    return path


def merged(model: Path, family: str, folder: Path) -> Path:
    """A copy of the model whose transformer holds the adapter, in a folder named after the family."""
    whole = shutil.copytree(model, folder / f"{family}-merged")
    file = whole / MODEL_FILE
    save_file({**load_file(str(file)), **adapter_weights()}, str(file))
    return whole


def speech(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """Syllables of noise and tone, float32 [S]."""
    n = round(seconds * rate)
    t = np.arange(n) / rate
    noise = np.random.default_rng(seed).standard_normal(n)
    envelope = np.clip(np.sin(2 * np.pi * (3 + seed) * t), 0, None)
    return (0.3 * envelope * (np.sin(2 * np.pi * (150 + 40 * seed) * t) + 0.3 * noise)).astype(np.float32)


def write_wav(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return path


def write_picture(path: Path, width: int = 64, height: int = 48) -> Path:
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack((rows * 255 // height, columns * 255 // width, 0 * rows + 90), axis=-1)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path
