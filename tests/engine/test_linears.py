"""Requests on a transformer whose blocks multiply in fp8: near the float model, with LoRAs too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.engine.tiny import Made, engine, small
from tests.lora.adapters import low_rank, write
from wancore.checkpoints.layout import find_parts
from wancore.engine import Engine
from wancore.quant.linear import Linear
from wancore.transformer.load import load_transformer


def frames(runner: Engine, model: Path, *loras: str) -> np.ndarray:
    return Made.of(runner.generate(small(model, loras=[{"name": name} for name in loras]))).frames.astype(int)


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """Mean difference, in steps of 8-bit colour."""
    return float(np.abs(a - b).mean())


def test_fp8_is_near_the_float_model_with_and_without_loras(
    tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    model = tiny("t2v")
    transformer = find_parts(model).transformer
    assert transformer is not None
    lora = str(write(tmp_path / "a.safetensors", low_rank(load_transformer(transformer), rank=4, scale=0.5)))
    exact, adapted = frames(engine(), model), frames(engine(), model, lora)
    runner = engine(linears="fp8")
    plain = frames(runner, model)
    change = apart(exact, adapted)
    assert 0 < apart(plain, exact) < change / 2
    assert apart(frames(runner, model, lora), adapted) < change / 2
    beside = frames(engine(linears="fp8", lora_mode="on-the-fly"), model, lora)
    assert apart(beside, adapted) < change / 2


@torch.no_grad()
def test_loading_in_fp8_leaves_only_linears_of_blocks_quantised(tiny: Callable[[str], Path]) -> None:
    transformer = find_parts(tiny("i2v")).transformer
    assert transformer is not None
    model = load_transformer(transformer, dtype=torch.bfloat16, fp8=True)
    quantised = [name for name, module in model.named_modules() if isinstance(module, Linear)]
    assert quantised and all(name.startswith("blocks.") for name in quantised)
    assert model.dtype == torch.bfloat16 and model.head.head.weight.dtype == torch.bfloat16


def test_only_known_ways_to_multiply() -> None:
    with pytest.raises(ValueError, match="linears"):
        engine(linears="fp4")
