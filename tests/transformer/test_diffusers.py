"""A second oracle: diffusers' Wan transformer, saved by diffusers and read by our loader."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.transformer.models import noise, relative, seeded_weights
from wancore.checkpoints import load_module
from wancore.checkpoints.base import transformer_config
from wancore.checkpoints.canonical import open_transformer
from wancore.transformer.canvas import Canvas, Clock
from wancore.transformer.layout import build_layout
from wancore.transformer.model import WanTransformer
from wancore.transformer.predict import EmbeddedText, Inputs, predict

CANVAS = Canvas(3, 4, 3)
SIZES = {
    "num_attention_heads": 2, "attention_head_dim": 24, "in_channels": 4, "out_channels": 4, "text_dim": 12,
    "freq_dim": 32, "ffn_dim": 80, "num_layers": 2,
}  # fmt: skip


@dataclass(frozen=True)
class Variant:
    """What differs from the text-to-video model."""

    config: dict[str, Any] = field(default_factory=dict)
    image_rows: int = 0
    times: tuple[float, ...] = (700.0,)  # of the frames: one for all, or one each


@dataclass(frozen=True)
class Given:
    latents: Tensor
    text: Tensor
    image: Tensor | None


IMAGE = {"in_channels": 9, "image_dim": 16, "added_kv_proj_dim": 48}
VARIANTS = {
    "t2v": Variant(),
    "i2v": Variant(IMAGE, 257),
    "flf2v": Variant({**IMAGE, "pos_embed_seq_len": 514}, 514),
    "i2v without image tokens": Variant({"in_channels": 9}),
    "ti2v": Variant({"in_channels": 6, "out_channels": 6}, times=(0.0, 800.0, 800.0)),
    "per frame": Variant(times=(10.0, 400.0, 990.0)),
}


def diffusers_model(variant: Variant) -> Any:
    from diffusers import WanTransformer3DModel

    return seeded_weights(WanTransformer3DModel(**{**SIZES, **variant.config}).eval())


def diffusers_velocity(model: Any, variant: Variant, inputs: Given) -> Tensor:
    rows = torch.tensor(variant.times).repeat_interleave(CANVAS.frame_rows)
    padded = torch.cat((inputs.text, inputs.text.new_zeros(512 - len(inputs.text), inputs.text.shape[1])))
    images = variant.config.get("pos_embed_seq_len", 257) // 257  # two images come as a batch of two
    image = inputs.image.unflatten(0, (images, -1)) if inputs.image is not None else None
    return model(
        hidden_states=inputs.latents[None],
        timestep=rows[None] if len(variant.times) > 1 else torch.tensor(variant.times),
        encoder_hidden_states=padded[None],
        encoder_hidden_states_image=image,
        return_dict=False,
    )[0][0]


def our_velocity(folder: Path, variant: Variant, inputs: Given) -> Tensor:
    view = open_transformer(folder)
    with torch.device("meta"):
        model = WanTransformer(transformer_config(view))
    load_module(model, view)
    t, index = torch.tensor(variant.times).unique(return_inverse=True)
    layout = build_layout(CANVAS, model.frequencies, Clock(index) if len(variant.times) > 1 else None)
    text = EmbeddedText.of(model, inputs.text, inputs.image)
    return predict(model, Inputs(inputs.latents, t, layout, text))


@torch.no_grad()
@pytest.mark.parametrize("name", VARIANTS)
def test_same_velocity(name: str, tmp_path: Path) -> None:
    variant = VARIANTS[name]
    reference = diffusers_model(variant)
    reference.save_pretrained(tmp_path)
    image = noise(variant.image_rows, 16, seed=2) if variant.image_rows else None
    inputs = Given(noise(reference.config.in_channels, 3, 8, 6), noise(7, 12, seed=1), image)
    wanted = diffusers_velocity(reference, variant, inputs)
    assert relative(our_velocity(tmp_path, variant, inputs), wanted) < 5e-6


@torch.no_grad()
def test_shards_and_types_as_diffusers_saves_them(tmp_path: Path) -> None:
    reference = diffusers_model(VARIANTS["t2v"])
    inputs = Given(noise(4, 3, 8, 6), noise(7, 12, seed=1), None)
    wanted = diffusers_velocity(reference, VARIANTS["t2v"], inputs)
    reference.bfloat16().save_pretrained(tmp_path, max_shard_size="100KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    got = our_velocity(tmp_path, VARIANTS["t2v"], inputs)
    assert 1e-4 < relative(got, wanted) < 0.05
