"""A second oracle: adapters made by PEFT on diffusers' model, read by us on ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.lora.adapters import lora
from tests.transformer.models import noise, relative
from tests.transformer.test_diffusers import VARIANTS, Given, diffusers_model, diffusers_velocity
from wancore.lora.choose import Mode
from wancore.lora.runtime import LoraOptions, apply_loras
from wancore.transformer.canvas import Canvas
from wancore.transformer.layout import build_layout
from wancore.transformer.load import load_transformer
from wancore.transformer.predict import EmbeddedText, Inputs, predict

peft = pytest.importorskip("peft")

TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "ffn.net.0.proj", "ffn.net.2"]
KINDS: dict[str, dict[str, Any]] = {
    "lora": {"r": 4, "lora_alpha": 8},
    "rank-stabilised": {"r": 4, "lora_alpha": 6, "use_rslora": True},
    "alpha and rank by pattern": {
        "r": 4, "lora_alpha": 8, "rank_pattern": {"attn1.to_q": 2},
        "alpha_pattern": {"attn1.to_q": 3, "net.2": 1},
    },
    "with biases": {"r": 4, "lora_alpha": 8, "lora_bias": True},
    "DoRA": {"r": 4, "lora_alpha": 8, "use_dora": True},
    "everything outside the blocks, too": {
        "r": 3, "lora_alpha": 3,
        "target_modules": ["time_proj", "proj_out", "linear_1", "linear_2", "patch_embedding", "to_q"],
    },
}  # fmt: skip


@torch.no_grad()
@pytest.mark.parametrize("mode", ["merged", "on-the-fly", "streaming"])
@pytest.mark.parametrize("kind", KINDS)
def test_same_velocity(kind: str, mode: Mode, tmp_path: Path) -> None:
    reference = diffusers_model(VARIANTS["t2v"])
    reference.save_pretrained(tmp_path / "base")
    wrapped = peft.get_peft_model(reference, peft.LoraConfig(**{"target_modules": TARGETS, **KINDS[kind]}))
    for i, (name, parameter) in enumerate(wrapped.named_parameters()):
        if "lora_magnitude" in name:
            parameter.mul_(1 + 0.2 * torch.rand(parameter.shape, generator=torch.Generator().manual_seed(i)))
        elif "lora_" in name:
            parameter.copy_(noise(*parameter.shape, seed=i) * 0.2)
    wrapped.save_pretrained(tmp_path / "adapter")
    inputs = Given(noise(4, 3, 8, 6), noise(7, 12, seed=1), None)
    wanted = diffusers_velocity(wrapped, VARIANTS["t2v"], inputs)
    model = load_transformer(tmp_path / "base")
    adapter = lora(tmp_path / "adapter" / "adapter_model.safetensors")
    with apply_loras(model, [adapter], LoraOptions(mode)):
        layout = build_layout(Canvas(3, 4, 3), model.frequencies)
        text = EmbeddedText.of(model, inputs.text)
        got = predict(model, Inputs(inputs.latents, torch.tensor([700.0]), layout, text))
    assert relative(got, wanted) < 1e-5
