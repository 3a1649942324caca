"""ComfyUI's `models/` folder: a model is named by its path below `diffusion_models/` (or `unet/`)."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from wancore.checkpoints.candidates import checkpoints_in
from wancore.checkpoints.parts import layout_data
from wancore.checkpoints.shards import SUFFIX
from wancore.errors import CheckpointError, shown

MODEL_FOLDERS: tuple[str, ...] = tuple(layout_data()["folders"]["transformer"])


def tree_above(path: Path) -> Path | None:
    """The `models/` folder that `path` lies in, if it lies below its `diffusion_models/` or `unet/`."""
    for parent in path.absolute().parents:
        if parent.name in MODEL_FOLDERS:
            return parent.parent
    return None


def find_model(models: Path | str, name: str) -> Path:
    """The model called `name` below `models`: a file or folder, with or without suffix, either slash.

    Looked for in `diffusion_models/` and `unet/`, and as a folder of its own beside them (an upstream or
    diffusers repository). Raises `CheckpointError` naming near misses, or every match if there are several.
    """
    models = Path(models)
    if not models.is_dir():
        raise CheckpointError(models, "no such folder")
    relative = PurePosixPath(name.replace("\\", "/"))
    if not name or "\0" in name or relative.is_absolute() or ".." in relative.parts:
        problem = f"cannot hold {shown(name)}; accepted: the path of a model below it"
        raise CheckpointError(models, problem)
    found = [p for folder in MODEL_FOLDERS for p in named(models / folder, relative)]
    if (models / relative).is_dir() and relative.parts[0] not in MODEL_FOLDERS:
        found.append(models / relative)
    if len(found) > 1:
        matches = ", ".join(str(p.relative_to(models)) for p in found)
        raise CheckpointError(
            models, f"holds several models called {shown(name)} ({matches}); give the whole path"
        )
    if not found:
        raise CheckpointError(models, f"holds no model {shown(name)}; {nearest(models, str(relative))}")
    return found[0]


def named(folder: Path, relative: PurePosixPath) -> list[Path]:
    """What is called `relative` in `folder`, where the name may lack its suffix."""
    exact = folder / relative
    with_suffix = exact.with_name(exact.name + SUFFIX)
    return [path for path in (exact, with_suffix) if path.exists()]


def nearest(models: Path, name: str) -> str:
    """What there is, the most similar names first."""
    there = [
        str(path.relative_to(models / folder))
        for folder in MODEL_FOLDERS
        for path in checkpoints_in(models / folder, deep=True)
    ]
    if not there:
        return f"{' and '.join(f'{folder}/' for folder in MODEL_FOLDERS)} hold none"
    close = get_close_matches(name, there, n=3, cutoff=0.3) or there[:3]
    return f"there is {', '.join(close)}" + (", …" if len(there) > len(close) else "")
