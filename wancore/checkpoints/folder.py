"""What a folder holds: one model's weights, several, or something else that looks like a model."""

from __future__ import annotations

from pathlib import Path

from wancore.checkpoints.container import PICKLE_SUFFIXES
from wancore.checkpoints.shards import INDEX_SUFFIX, WEIGHT_SUFFIXES, Weights, block_files, indexed, sharded
from wancore.errors import CheckpointError

#: Folders of the two experts of one model, (high noise, low noise): upstream's names, then diffusers'.
EXPERT_FOLDERS = (("high_noise_model", "low_noise_model"), ("transformer", "transformer_2"))
PIPELINE_FILE = "model_index.json"


def find_weights(folder: Path) -> list[Weights]:
    """Every set of weights directly in `folder`. Raises `CheckpointError` on a broken one."""
    found = [indexed(index) for index in sorted(folder.glob("*" + INDEX_SUFFIX))]
    taken = {file for weights in found for file in weights.files}
    files = sorted(file for suffix in WEIGHT_SUFFIXES for file in folder.glob("*" + suffix))
    rest = [file for file in files if file not in taken]
    if blocks := block_files(rest):
        found.append(blocks)
        rest = [file for file in rest if file not in blocks.files]
    for file in rest:
        if file not in taken:
            weights = sharded(file) or Weights(file.name, (file,))
            taken.update(weights.files)
            found.append(weights)
    return found


def the_weights(folder: Path) -> Weights:
    """The one set of weights in `folder`: the only one, or the only one with the standard name.

    Raises `CheckpointError` that says what the folder holds instead.
    """
    found = find_weights(folder)
    standard = [weights for weights in found if weights.standard]
    if len(found) == 1 or len(standard) == 1:
        return (standard or found)[0]
    if found:
        names = ", ".join(w.name for w in found[:4]) + (", …" if len(found) > 4 else "")
        raise CheckpointError(folder, f"holds several checkpoints ({names}); name one of them")
    raise CheckpointError(folder, what_else(folder))


def what_else(folder: Path) -> str:
    """Why a folder without weights cannot be opened as one model."""
    if (folder / PIPELINE_FILE).is_file():
        parts = ", ".join(sorted(p.name for p in folder.iterdir() if p.is_dir()))
        return f"is a whole pipeline of several models ({parts}); name one of these folders"
    if pair := expert_folders(folder):
        return f"holds two experts ({pair[0].name}, {pair[1].name}), not one model; name one of them"
    accepted = " or ".join(WEIGHT_SUFFIXES)
    pickles = sorted(p.name for p in folder.iterdir() if p.suffix in PICKLE_SUFFIXES)
    if pickles:
        only = f"holds no {accepted} file, only pickle files ({', '.join(pickles[:3])})"
        return f"{only}; `wancore convert` turns one into safetensors"
    return f"holds no {accepted} file"


def expert_folders(folder: Path) -> tuple[Path, Path] | None:
    """The folders of the (high-noise, low-noise) experts in `folder`, if both are there."""
    for high, low in EXPERT_FOLDERS:
        if (folder / high).is_dir() and (folder / low).is_dir():
            return folder / high, folder / low
    return None
