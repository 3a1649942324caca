"""The keys of LoRA files: which module, which of its tensors, under which prefix."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from wancore.lora.names import NameTable

Role = Literal[
    "down", "up", "up_bias", "alpha", "diff", "diff_b", "diff_m", "magnitude", "dora_scale",
    "lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2",
    "hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2",
]  # fmt: skip

#: Endings of keys, first fit first. `default` is the name PEFT gives to a model's only adapter.
ENDINGS: tuple[tuple[str, Role], ...] = (
    (r"\.lora_A(\.default)?(\.weight)?", "down"),
    (r"\.lora_B(\.default)?(\.weight)?", "up"),
    (r"\.lora_B(\.default)?\.bias", "up_bias"),
    (r"\.lora_down(\.default)?(\.weight)?", "down"),
    (r"\.lora_up(\.default)?(\.weight)?", "up"),
    (r"(_lora|\.lora|\.lora_linear_layer)\.down(\.weight)?", "down"),
    (r"(_lora|\.lora|\.lora_linear_layer)\.up(\.weight)?", "up"),
    (r"\.lora_magnitude_vector(\.default)?(\.weight)?", "magnitude"),
    (r"\.(alpha|lora_alpha)", "alpha"),
    (r"\.(?P<own>diff|diff_b|diff_m|dora_scale)", "diff"),
    (r"\.(?P<own>lokr_w[12](_[ab])?|lokr_t2)", "lokr_w1"),
    (r"\.(?P<own>hada_w[12]_[ab]|hada_t[12])", "hada_w1_a"),
)
COMPILED = tuple((re.compile(f"(?P<module>.+?){ending}"), role) for ending, role in ENDINGS)

#: Prefixes of dotted names, taken off one after another until the rest is a module.
PREFIXES = (
    "base_model.model.", "pipe.dit.", "transformer_2.", "transformer.", "model.diffusion_model.",
    "diffusion_model.", "model.", "module.", "dit.", "unet.",
)  # fmt: skip
#: Prefixes of names with underscores for dots.
UNDERSCORED = ("lora_unet__", "lora_unet_", "lora_transformer_", "lycoris_")
RAW_PEFT = "base_model.model."
SECOND_EXPERT = "transformer_2."
WRAPPED = "_orig_mod."  # added by torch.compile wherever a module was compiled


@dataclass(frozen=True)
class Key:
    """One key of a file, taken apart. `stem`: all before the ending."""

    name: str
    stem: str
    role: Role


@dataclass(frozen=True)
class Place:
    """Which module a stem means, and what stood before it."""

    module: str
    prefixes: tuple[str, ...]

    @property
    def raw_peft(self) -> bool:
        return RAW_PEFT in self.prefixes

    @property
    def second_expert(self) -> bool:
        return SECOND_EXPERT in self.prefixes


def parse_key(name: str) -> Key | None:
    """None for a key that ends like none of an adapter's tensors."""
    for pattern, role in COMPILED:
        if match := pattern.fullmatch(name):
            own = cast("Role | None", match.groupdict().get("own"))
            return Key(name, match["module"].replace(WRAPPED, ""), own or role)
    return None


def place(stem: str, table: NameTable, prefer_diffusers: bool) -> Place | None:
    """The module that `stem` means; None if the model has none of this name."""
    for prefix in UNDERSCORED:
        if stem.startswith(prefix):
            module = table.underscored(stem[len(prefix) :])
            if module is not None:
                return Place(module, (prefix,))
    taken: list[str] = []
    while (module := table.find(stem, prefer_diffusers)) is None:
        prefix = next((p for p in PREFIXES if stem.startswith(p)), "")
        if not prefix:
            return None
        taken.append(prefix)
        stem = stem[len(prefix) :]
    return Place(module, tuple(taken))


def in_diffusers_names(stems: Sequence[str]) -> bool:
    """Whether a file calls its modules by diffusers' names."""
    return any(re.search(r"blocks[._]\d+[._]attn[12][._]|condition_embedder", stem) for stem in stems)
