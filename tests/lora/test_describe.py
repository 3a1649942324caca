"""What lists say of LoRA files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checkpoints.synthetic import wan_shapes, write_headers
from wancore.errors import CheckpointError
from wancore.lora.describe import Describer


def pair(module: str, rank: int, width: int) -> dict[str, list[int]]:
    return {f"{module}.lora_A.weight": [rank, width], f"{module}.lora_B.weight": [8, rank]}


def test_rank_and_width(tmp_path: Path) -> None:
    describer = Describer()

    def said(name: str, shapes: dict[str, list[int]], note: str = "") -> str:
        path = write_headers(tmp_path / f"{name}.safetensors", shapes, "BF16", {"note": note})
        return describer.describe(path)

    native = pair("diffusion_model.blocks.0.self_attn.q", 64, 5120)
    assert said("a", native) == said("b", native, "x" * 5) == "a LoRA file of rank 64 for width 5120"
    theirs = pair("transformer.blocks.0.attn1.to_q", 4, 1536)
    assert said("c", theirs) == "a LoRA file of rank 4 for width 1536"
    assert said("d", {**native, **pair("diffusion_model.blocks.0.ffn.0", 8, 5120)}) == (
        "a LoRA file of ranks 8 to 64 for width 5120"
    )
    module = "lora_unet_blocks_0_self_attn_q"
    under = {f"{module}.lora_down.weight": [2, 16], f"{module}.lora_up.weight": [8, 2]}
    assert said("e", under) == "a LoRA file of rank 2 for width 16"
    assert said("f", {"blocks.0.self_attn.q.lokr_w1": [2, 2], "blocks.0.self_attn.q.lokr_w2": [4, 4]}) == (
        "a LoKr file"
    )


def test_other_files_are_refused(tmp_path: Path) -> None:
    describer = Describer()
    with pytest.raises(CheckpointError, match="is no LoRA file"):
        describer.describe(write_headers(tmp_path / "m.safetensors", wan_shapes()))
    standin = {f"diffusion_model.blocks.0.self_attn.q_loras.{p}.weight": [4, 4] for p in ("down", "up")}
    with pytest.raises(CheckpointError, match="is no LoRA; attach that family"):
        describer.describe(write_headers(tmp_path / "s.safetensors", standin))
