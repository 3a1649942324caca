"""The factor that a file's low-rank products are multiplied by: alpha / rank, wherever alpha stands."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wancore.checkpoints.jsonfile import read_json
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError, shown

DIFFUSERS_HEADER = "lora_adapter_metadata"  # JSON text, its keys prefixed with the model's name
PEFT_CONFIG = "adapter_config.json"
WILDCARD = ".*"


@dataclass(frozen=True)
class PeftConfig:
    """What PEFT's configuration says of scales. `alphas`: of single modules, by pattern of their names."""

    alpha: float
    rank_stabilised: bool = False
    alphas: Mapping[str, float] = field(default_factory=dict)

    def scale(self, module: str, rank: int) -> float:
        """For a module under the name that the file has for it: alpha / r, or alpha / sqrt(r)."""
        alpha = next((a for pattern, a in self.alphas.items() if names(pattern, module)), self.alpha)
        return alpha / (math.sqrt(rank) if self.rank_stabilised else rank)


@dataclass(frozen=True)
class Scales:
    """Where the scales of a file without `alpha` tensors come from; at most one of these is given.

    `peft`: a PEFT configuration, in the header or beside the file. `network`: (alpha, rank) of kohya's
    header; a rank of None stands for each module's own. `raw`: alpha of a raw PEFT file that lost its
    configuration, where it is taken as rank-stabilised with alpha = rank, as the ComfyUI wrapper does.
    """

    peft: PeftConfig | None = None
    network: tuple[float, float | None] | None = None
    raw: float | None = None

    def scale(self, module: str, rank: int) -> float:
        if self.peft is not None:
            return self.peft.scale(module, rank)
        if self.network is not None:
            alpha, network_rank = self.network
            return alpha / (network_rank or rank)
        return 1.0 if self.raw is None else self.raw / rank

    def describe(self) -> str:
        if self.peft is not None:
            return "scale from PEFT's configuration"
        if self.network is not None:
            return "scale from ss_network_alpha in the header"
        if self.raw is not None:
            return f"scale {self.raw:g} / rank assumed: a PEFT file without {PEFT_CONFIG}"
        return ""


def find_scales(view: FileView, ranks: Mapping[str, int], raw_peft: bool) -> Scales:
    """`ranks`: of the low-rank pairs, by canonical module. Raises `CheckpointError` on a malformed header."""
    peft = header_config(view) or config_beside(view)
    if peft is not None:
        return Scales(peft=peft)
    if "ss_network_alpha" in view.metadata:
        alpha = header_number(view, "ss_network_alpha")
        rank = header_number(view, "ss_network_dim") if "ss_network_dim" in view.metadata else None
        return Scales(network=(alpha, rank))
    if raw_peft and ranks:
        rank_used = ranks.get("blocks.0.cross_attn.k") or next(iter(ranks.values()))
        return Scales(raw=float(math.floor(rank_used**1.5)))
    return Scales()


def header_number(view: FileView, name: str) -> float:
    try:
        value = float(view.metadata[name])
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (value <= 0 and name.endswith("dim")):
        raise CheckpointError(
            view.path, f"header says {name} = {shown(view.metadata[name])}, which is no scale"
        )
    return value


def header_config(view: FileView) -> PeftConfig | None:
    text = view.metadata.get(DIFFUSERS_HEADER)
    if text is None:
        return None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(view.path, f"header metadata {DIFFUSERS_HEADER} is not JSON") from error
    if not isinstance(data, dict):
        raise CheckpointError(view.path, f"header metadata {DIFFUSERS_HEADER} is not a mapping")
    return peft_config(view.path, {re.sub(r"^transformer(_2)?\.", "", k): v for k, v in data.items()})


def config_beside(view: FileView) -> PeftConfig | None:
    folder = view.path if view.path.is_dir() else view.path.parent
    file = folder / PEFT_CONFIG
    ours = all(one.name == "adapter_model.safetensors" for one in view.files)
    return peft_config(file, read_json(file)) if ours and file.is_file() else None


def peft_config(file: Path, data: Mapping[str, Any]) -> PeftConfig | None:
    """None where it says nothing of alpha. Raises `CheckpointError` on values of another type."""
    if "lora_alpha" not in data:
        return None
    alphas = data.get("alpha_pattern") or {}
    if not isinstance(alphas, dict):
        raise CheckpointError(file, f"alpha_pattern is {shown(alphas)}, not a mapping")
    return PeftConfig(
        alpha=number(file, "lora_alpha", data["lora_alpha"]),
        rank_stabilised=data.get("use_rslora") is True,
        alphas={literal(file, key): number(file, "alpha_pattern", value) for key, value in alphas.items()},
    )


def number(file: Path, name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise CheckpointError(file, f"{name} is {shown(value)}, not a number")
    return float(value)


def literal(file: Path, pattern: str) -> str:
    """PEFT takes keys of its patterns as regular expressions. Names, their ends and `.*` are accepted:
    an expression out of a stranger's file could run for ever. A leading `^` stays."""
    plain = pattern.replace("\\.", ".").removesuffix("$")
    if not re.fullmatch(r"\^?[\w.*-]+", plain) or "*" in plain.replace(WILDCARD, ""):
        problem = f"alpha_pattern has {shown(pattern)}; accepted: names of modules, with .* for any text"
        raise CheckpointError(file, problem)
    return plain


def names(pattern: str, module: str) -> bool:
    """Whether a pattern means a module: by its whole name, or by its last segments without `^`."""
    first, *rest = pattern.removeprefix("^").split(WILDCARD)
    if not rest:
        return module == first or (not pattern.startswith("^") and module.endswith("." + first))
    if not module.startswith(first) and (pattern.startswith("^") or "." + first not in module):
        return False
    position = module.find(first) + len(first)
    for part in rest[:-1]:
        found = module.find(part, position)
        if found < 0:
            return False
        position = found + len(part)
    return module.endswith(rest[-1]) and len(module) - len(rest[-1]) >= position
