"""Finding all parts of a pipeline, however its files are laid out on disk."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from wancore.checkpoints.all_in_one import parts_inside
from wancore.checkpoints.candidates import (
    COMPONENT_PARTS,
    Candidates,
    checkpoints_in,
    look_at,
    tokenizers_in,
    wanted_widths,
)
from wancore.checkpoints.folder import PIPELINE_FILE, expert_folders, the_weights
from wancore.checkpoints.jsonfile import read_json
from wancore.checkpoints.models_tree import is_models_tree, tree_above
from wancore.checkpoints.open import weights_at
from wancore.checkpoints.parts import Part, Parts, layout_data
from wancore.checkpoints.shards import Weights
from wancore.errors import CheckpointError, shown

PIPELINE_PARTS: tuple[Part, ...] = (
    "transformer", "transformer_2", "vae", "text_encoder", "tokenizer", "image_encoder"
)  # fmt: skip
EXPERT_WORDS = {"high": "low", "High": "Low", "HIGH": "LOW"}


def find_parts(path: Path | str, models: Path | str | None = None) -> Parts:
    """The parts of the pipeline at `path`, and what it lacks from the ComfyUI tree `models`.

    `path`: a diffusers pipeline folder, an upstream folder (one model, or two experts, with the other
    files beside), a ComfyUI `models/` folder, or a transformer file or folder; the tree that one lies in
    is used without being named. Reads headers only. Raises `CheckpointError` for what is none of these.
    """
    path = Path(path)
    if not path.exists():
        raise CheckpointError(path, "no such file or folder")
    if is_models_tree(path):
        return tree_parts(path, None)
    own = parts_at(path)
    tree = Path(models) if models is not None else tree_above(path)
    if tree is None:
        return own
    if own.root.absolute().is_relative_to(tree.absolute()):
        own = replace(own, root=tree)
    return own.filled_from(tree_parts(tree, own.require("transformer")))


def parts_at(path: Path) -> Parts:
    """The parts at `path` and right beside it."""
    if (path / PIPELINE_FILE).is_file():
        return pipeline_parts(path)
    if not path.is_dir():
        return file_parts(path)
    experts = expert_folders(path.parent) or ()
    if (path.parent / PIPELINE_FILE).is_file() or path in experts:
        whole = parts_at(path.parent)  # one model of a larger folder: the rest is found there
        return replace(whole, found={**whole.found, "transformer": (path,), "transformer_2": ()})
    return folder_parts(path)


def pipeline_parts(root: Path) -> Parts:
    """A diffusers pipeline: model_index.json names its components, each in the folder of its name."""
    index = read_json(root / PIPELINE_FILE)
    named = [part for part in PIPELINE_PARTS if index.get(part) not in (None, [None, None])]
    return Parts(
        root,
        found={part: (root / part,) for part in named if (root / part).is_dir()},
        refused={
            part: (f"{PIPELINE_FILE} names {part}/, which is not there",)
            for part in named
            if not (root / part).is_dir()
        },
        boundary_ratio=boundary_ratio(root, index),
    )


def boundary_ratio(root: Path, index: Mapping[str, object]) -> float | None:
    value = index.get("boundary_ratio")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        problem = f"boundary_ratio: got {shown(value)}; accepted: a number between 0 and 1"
        raise CheckpointError(root / PIPELINE_FILE, problem)
    return float(value)


def folder_parts(root: Path, weights: Weights | None = None) -> Parts:
    """An upstream folder: the transformer's `weights` or two experts, and the other files beside."""
    experts = None if weights else expert_folders(root)
    transformers: dict[Part, Path]
    if experts:
        transformers, own = {"transformer": experts[0], "transformer_2": experts[1]}, set()
    else:
        own = set((weights or the_weights(root)).files)
        transformers = {"transformer": min(own) if weights else root}
    others = [p for p in checkpoints_in(root, deep=False) if p not in own and p != root]
    candidates = Candidates()
    look_at(candidates, others, COMPONENT_PARTS, wanted_widths(transformers["transformer"]))
    for tokenizer in tokenizers_in(root):
        candidates.add("tokenizer", tokenizer)
    return candidates.parts(root, transformers)


def file_parts(file: Path) -> Parts:
    """A single file; with the standard name, the upstream folder it stands in. Experts pair by name.

    An all-in-one file is its own VAE, text encoder and image encoder.
    """
    weights = weights_at(file)
    if weights.standard and (file.parent / "config.json").is_file():
        return folder_parts(file.parent, weights)
    found: dict[Part, Path] = {**parts_inside(file), **with_partner(file)}
    return Parts(file.parent, {part: (path,) for part, path in found.items()})


def tree_parts(root: Path, transformer: Path | None) -> Parts:
    """What a ComfyUI `models/` folder has: the components that fit `transformer`, or every transformer."""
    folders: Mapping[Part, list[str]] = layout_data()["folders"]
    candidates = Candidates()
    if transformer is None:
        for name in folders["transformer"]:
            for path in checkpoints_in(root / name, deep=True):
                candidates.add("transformer", path)
    widths = wanted_widths(transformer) if transformer else {}
    for part in COMPONENT_PARTS:
        for name in folders[part]:
            look_at(candidates, list(checkpoints_in(root / name, deep=True)), [part], widths)
    for name in folders["text_encoder"]:
        for tokenizer in tokenizers_in(root / name):
            candidates.add("tokenizer", tokenizer)
    return candidates.parts(root, {})


def with_partner(path: Path) -> dict[Part, Path]:
    """`path` as the transformer; with its partner, if it is one expert of two by name (HIGH and LOW)."""
    for high, low in EXPERT_WORDS.items():
        for word, other in ((high, low), (low, high)):
            changed = re.sub(rf"(?<![A-Za-z]){word}(?![A-Za-z])", other, path.name)
            partner = path.with_name(changed)
            if changed != path.name and partner.exists():
                first, second = (path, partner) if word == high else (partner, path)
                return {"transformer": first, "transformer_2": second}
    return {"transformer": path}
