"""Adapter files of every form for a tiny transformer, and what they should do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.transformer.models import noise, tiny
from wancore.lora.applied import Lora
from wancore.lora.spec import LoraSpec
from wancore.transformer.canvas import Canvas
from wancore.transformer.layout import build_layout
from wancore.transformer.model import WanTransformer
from wancore.transformer.predict import EmbeddedText, Inputs, predict

LINEARS = (
    "self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "cross_attn.q", "cross_attn.k",
    "cross_attn.v", "cross_attn.o", "ffn.0", "ffn.2",
)  # fmt: skip


def model(dtype: torch.dtype = torch.float32, **sizes: Any) -> WanTransformer:
    return tiny(**sizes).to(dtype).requires_grad_(False).eval()


def low_rank(
    base: WanTransformer, rank: int = 3, seed: int = 0, linears: tuple[str, ...] = LINEARS, scale: float = 0.2
) -> dict[str, Tensor]:
    """A pair for every block linear, under native names: lora_down, lora_up and alpha."""
    tensors: dict[str, Tensor] = {}
    for i in range(len(base.blocks)):
        for j, end in enumerate(linears):
            out, columns = base.get_submodule(f"blocks.{i}.{end}").weight.shape
            start = f"diffusion_model.blocks.{i}.{end}"
            at = 1000 * seed + 20 * i + j
            tensors[f"{start}.lora_down.weight"] = noise(rank, columns, seed=2 * at) * scale
            tensors[f"{start}.lora_up.weight"] = noise(out, rank, seed=2 * at + 1) * scale
            tensors[f"{start}.alpha"] = torch.tensor(float(rank) / 2)
    return tensors


def write(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> Path:
    save_file({name: tensor.clone().contiguous() for name, tensor in tensors.items()}, str(path), metadata)
    return path


def lora(path: Path, **fields: Any) -> Lora:
    return Lora(LoraSpec(name=str(path), **fields), path)


def weights(base: WanTransformer) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in base.named_parameters()}


def velocity(base: WanTransformer) -> Tensor:
    """One prediction on fixed inputs."""
    layout = build_layout(Canvas(2, 3, 2), base.frequencies)
    latents = noise(base.config.in_dim, 2, 6, 4, seed=50)
    with torch.no_grad():
        text = EmbeddedText.of(base, noise(4, base.config.text_dim, seed=51))
        return predict(base, Inputs(latents, torch.tensor([600.0]), layout, text))
