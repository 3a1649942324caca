"""Looking for component files in a folder: by their keys, and by width where the transformer tells it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from wancore.checkpoints.base_keys import base_spec, has_base
from wancore.checkpoints.canonical import open_transformer
from wancore.checkpoints.components import ComponentClaim, component_claims
from wancore.checkpoints.container import PICKLE_SUFFIXES
from wancore.checkpoints.folder import find_weights
from wancore.checkpoints.layer_formats import check_readable
from wancore.checkpoints.open import open_view
from wancore.checkpoints.parts import Part, Parts, layout_data, spoken
from wancore.checkpoints.prefix import peel_prefix
from wancore.errors import CheckpointError

COMPONENT_PARTS: tuple[Part, ...] = ("vae", "text_encoder", "image_encoder", "audio_encoder", "preview")


@dataclass
class Candidates:
    """Collects what can be each part, and why the rest cannot."""

    found: dict[Part, list[Path]] = field(default_factory=dict)
    refused: dict[Part, list[str]] = field(default_factory=dict)

    def add(self, part: Part, path: Path) -> None:
        self.found.setdefault(part, []).append(path)

    def refuse(self, part: Part, reason: str) -> None:
        self.refused.setdefault(part, []).append(reason)

    def parts(self, root: Path, transformers: Mapping[Part, Path]) -> Parts:
        """What was collected, with the transformers that are already known."""
        found: dict[Part, tuple[Path, ...]] = {part: tuple(paths) for part, paths in self.found.items()}
        chosen: dict[Part, tuple[Path, ...]] = {part: (path,) for part, path in transformers.items()}
        return Parts(root, found | chosen, {part: tuple(why) for part, why in self.refused.items()})


def wanted_widths(transformer: Path) -> dict[Part, int]:
    """The width each component must have to fit `transformer`; nothing where its header does not tell."""
    try:
        view = open_transformer(transformer)
        if not has_base(view):
            return {}
        spec = base_spec(view)
    except CheckpointError:
        return {}  # the transformer's own problem is reported when it is loaded
    widths: dict[Part, int | None] = {
        "vae": spec.out_dim,
        "preview": spec.out_dim,
        "text_encoder": spec.text_dim or None,
        "image_encoder": spec.image_dim,
    }
    return {part: width for part, width in widths.items() if width is not None}


def look_at(
    into: Candidates, paths: Sequence[Path], parts: Sequence[Part], widths: Mapping[Part, int]
) -> None:
    """Adds each of `paths` that is a file of one of `parts`; others are passed over."""
    for path in paths:
        if path.suffix in PICKLE_SUFFIXES:
            if part := part_of_pickle(path, parts):
                into.refuse(
                    part, f"{path.name} is a pickle file; `wancore convert` turns it into safetensors"
                )
            continue
        try:
            view = open_view(path)
            claims = component_claims(peel_prefix(view).view)
        except CheckpointError as error:
            for part in parts:
                into.refuse(part, f"{path.name} {error.problem}")
            continue
        for claim in claims:
            for part in parts:
                if part == claim.role:
                    problem = misfit(part, claim, widths) or unreadable(path)
                    into.refuse(part, f"{path.name} {problem}") if problem else into.add(part, path)


def misfit(part: Part, claim: ComponentClaim, widths: Mapping[Part, int]) -> str:
    """Why a component of this width does not fit, or ''."""
    wanted = widths.get(part)
    if wanted is None or claim.width in (None, wanted):
        return ""
    return f"is a {spoken(part)} of width {claim.width}, not {wanted}"


def unreadable(path: Path) -> str:
    try:
        check_readable(open_view(path))
    except CheckpointError as error:
        return error.problem
    return ""


def part_of_pickle(path: Path, parts: Sequence[Part]) -> Part | None:
    """Which of `parts` a pickle file is, by its published name alone: pickles are not opened."""
    names: Mapping[Part, Sequence[str]] = layout_data()["pickle_names"]
    return next((p for p in parts if any(fnmatch(path.name, pattern) for pattern in names.get(p, ()))), None)


def checkpoints_in(folder: Path, deep: bool) -> Iterator[Path]:
    """A path for every checkpoint in `folder` (and the folders below it), pickles included."""
    seen: set[Path] = set()
    for parent, below, names in os.walk(folder, followlinks=True):
        here = Path(parent)
        if here.resolve() in seen:  # a link that leads back up
            below.clear()
            continue
        seen.add(here.resolve())
        below[:] = sorted(below) if deep else []
        yield from (here / name for name in sorted(names) if Path(name).suffix in PICKLE_SUFFIXES)
        yield from weights_paths(here)


def weights_paths(folder: Path) -> list[Path]:
    """A path for each set of weights right in `folder`; the folder itself for its own or a broken one."""
    try:
        weights = find_weights(folder)
    except CheckpointError:
        return [folder]  # opening it says what is wrong
    return [folder if len(weights) == 1 and one.standard else one.files[0] for one in weights]


def tokenizers_in(folder: Path) -> list[Path]:
    """The tokenizer folders in `folder`."""
    data = layout_data()
    places = (folder / name for name in data["tokenizer_folders"])
    return [p for p in places if any((p / name).is_file() for name in data["tokenizer_files"])]
