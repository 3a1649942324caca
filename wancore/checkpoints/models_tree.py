"""ComfyUI's `models/` folder: a model is named by its path below `diffusion_models/` (or `unet/`)."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from wancore.checkpoints.candidates import checkpoints_in
from wancore.checkpoints.parts import Part, layout_data
from wancore.checkpoints.shards import WEIGHT_SUFFIXES
from wancore.errors import CheckpointError, shown

#: Where transformers lie; `checkpoints/` holds whole models in one file each, of any kind.
MODEL_FOLDERS: tuple[str, ...] = tuple(layout_data()["folders"]["transformer"])
TREE_MARKS = tuple(name for name in MODEL_FOLDERS if name != "checkpoints")


def is_models_tree(folder: Path) -> bool:
    """Whether `folder` is laid out as ComfyUI's `models/`; a folder `checkpoints/` alone is no sign."""
    return any((folder / name).is_dir() for name in TREE_MARKS)


def tree_above(path: Path) -> Path | None:
    """The `models/` folder that `path` lies in, if it lies below one of its folders of transformers."""
    for parent in path.absolute().parents:
        if parent.name in MODEL_FOLDERS and is_models_tree(parent.parent):
            return parent.parent
    return None


def find_model(models: Path | str, name: str) -> Path:
    """The model called `name` below `models`: a file or folder, with or without suffix, either slash.

    Looked for in `diffusion_models/`, `unet/` and `checkpoints/`, and as a folder of its own beside them
    (an upstream or diffusers repository). Raises `CheckpointError` naming near misses, or every match if
    there are several.
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


def find_part(models: Path | None, part: Part, name: Path) -> Path:
    """The file that a user means as a part: a path, or a name below the part's folders in `models`.

    What is not found is returned as it is. Raises `CheckpointError` where several fit.
    """
    folders = layout_data()["folders"].get(part, ())
    if name.exists() or models is None or name.is_absolute() or ".." in name.parts or not folders:
        return name
    relative = PurePosixPath(str(name).replace("\\", "/"))
    found = [path for folder in folders for path in named(models / folder, relative)]
    if len(found) > 1:
        matches = ", ".join(str(p.relative_to(models)) for p in found)
        raise CheckpointError(models, f"holds several files called {shown(str(name))} ({matches}); give one")
    return found[0] if found else name


def named(folder: Path, relative: PurePosixPath) -> list[Path]:
    """What is called `relative` in `folder`, where the name may lack its suffix."""
    exact = folder / relative
    with_suffix = (exact.with_name(exact.name + suffix) for suffix in WEIGHT_SUFFIXES)
    return [path for path in (exact, *with_suffix) if path.exists()]


def nearest(models: Path, name: str) -> str:
    """What there is, the most similar names first."""
    there = [
        str(path.relative_to(models / folder))
        for folder in MODEL_FOLDERS
        for path in checkpoints_in(models / folder, deep=True)
    ]
    if not there:
        return f"{', '.join(f'{folder}/' for folder in MODEL_FOLDERS)} hold none"
    close = get_close_matches(name, there, n=3, cutoff=0.3) or there[:3]
    return f"there is {', '.join(close)}" + (", …" if len(there) > len(close) else "")
