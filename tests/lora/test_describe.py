"""What lists say of LoRA files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checkpoints.synthetic import wan_shapes, write_headers
from wancore.checkpoints.stored import TensorInfo
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError
from wancore.lora.describe import Describer
from wancore.lora.facts import LoraFacts


def pair(module: str, rank: int, width: int) -> dict[str, list[int]]:
    return {f"{module}.lora_A.weight": [rank, width], f"{module}.lora_B.weight": [8, rank]}


def test_rank_and_width(tmp_path: Path) -> None:
    describer = Describer()

    def said(name: str, shapes: dict[str, list[int]], note: str = "") -> str:
        path = write_headers(tmp_path / f"{name}.safetensors", shapes, "BF16", {"note": note})
        return describer.describe(path)

    native = pair("diffusion_model.blocks.0.self_attn.q", 64, 5120)
    assert (
        said("a", native)
        == said("b", native, "x" * 5)
        == ("a LoRA file of rank 64 for width 5120, on self-attention (1 block)")
    )
    theirs = pair("transformer.blocks.0.attn1.to_q", 4, 1536)
    assert said("c", theirs) == "a LoRA file of rank 4 for width 1536, on self-attention (1 block)"
    assert said("d", {**native, **pair("diffusion_model.blocks.0.ffn.0", 8, 5120)}) == (
        "a LoRA file of ranks 8 to 64 for width 5120, on self-attention and feed-forward (1 block)"
    )
    module = "lora_unet_blocks_0_self_attn_q"
    under = {f"{module}.lora_down.weight": [2, 16], f"{module}.lora_up.weight": [8, 2]}
    assert said("e", under) == "a LoRA file of rank 2 for width 16, on self-attention (1 block)"
    assert said("f", {"blocks.0.self_attn.q.lokr_w1": [2, 2], "blocks.0.self_attn.q.lokr_w2": [4, 4]}) == (
        "a LoKr file on self-attention (1 block)"
    )


def test_other_files_are_refused(tmp_path: Path) -> None:
    describer = Describer()
    with pytest.raises(CheckpointError, match="is no LoRA file"):
        describer.describe(write_headers(tmp_path / "m.safetensors", wan_shapes()))
    standin = {f"diffusion_model.blocks.0.self_attn.q_loras.{p}.weight": [4, 4] for p in ("down", "up")}
    with pytest.raises(CheckpointError, match="is no LoRA; attach that family"):
        describer.describe(write_headers(tmp_path / "s.safetensors", standin))


def test_what_it_touches() -> None:
    modules = [
        f"transformer.blocks.{i}.{part}" for i in range(3) for part in ("attn2.to_k", "ffn.net.0.proj")
    ]
    keys = (key for module in (*modules, "text_embedding.0") for key in pair(module, 4, 8))
    facts = LoraFacts.of(FileView(Path("x"), {k: TensorInfo("F32", (4, 8), 128, ()) for k in keys}, {}, None))
    assert facts.parts == ("cross-attention", "feed-forward", "other layers") and facts.blocks == 3
    assert facts.phrase == "of rank 4, on cross-attention, feed-forward and other layers (3 blocks)"
