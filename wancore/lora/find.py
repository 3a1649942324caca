"""Finding a LoRA file by the name a user gives."""

from __future__ import annotations

import os
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from wancore.checkpoints.shards import SUFFIX
from wancore.errors import CheckpointError, InvalidInput, shown

FOLDER = "loras"  # as ComfyUI has it
#: What PEFT and diffusers call the file in a folder of its own.
INNER = ("adapter_model" + SUFFIX, "pytorch_lora_weights" + SUFFIX)


def find_lora(models: Path | None, name: str) -> Path:
    """The file called `name`: a path, or a path below `loras/` in the folder `models`, with or without
    suffix, either slash.

    A folder stands for the adapter file in it. Raises `InvalidInput`, naming what there is.
    """
    if "\0" in name:
        raise InvalidInput("lora", name, "the path or the name of a file")
    direct = Path(name)
    if direct.exists():
        return in_folder(direct)
    if models is None:
        raise InvalidInput("lora", name, "a file; to name files below loras/, set the models folder")
    relative = PurePosixPath(name.replace("\\", "/"))
    if relative.is_absolute() or ".." in relative.parts:
        raise InvalidInput("lora", name, f"a file, or a path below {models / FOLDER}")
    plain = models / FOLDER / relative
    found = [path for path in (plain.with_name(plain.name + SUFFIX), plain) if path.exists()]
    if not found:
        raise InvalidInput("lora", name, nearest(models, str(relative)))
    return in_folder(found[0])


def in_folder(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in INNER:
        if (path / name).is_file():
            return path / name
    files = sorted(path.glob("*" + SUFFIX))
    if len(files) != 1:
        raise CheckpointError(path, f"holds {len(files)} {SUFFIX} files; name one of them")
    return files[0]


def lora_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """All LoRA files below `folder` by their names there, without suffix; links are followed."""
    for file in sorted(files_below(folder)):
        yield file.relative_to(folder).as_posix().removesuffix(SUFFIX), file


def files_below(folder: Path) -> Iterator[Path]:
    seen: set[Path] = set()
    for parent, below, names in os.walk(folder, followlinks=True):
        here = Path(parent)
        if here.resolve() in seen:  # a link that leads back up
            below.clear()
            continue
        seen.add(here.resolve())
        yield from (here / name for name in names if name.endswith(SUFFIX))


def lora_names(models: Path) -> Iterator[str]:
    """The names of all LoRA files below `loras/`, without suffix."""
    return (name for name, _ in lora_files(models / FOLDER))


def nearest(models: Path, name: str) -> str:
    there = list(lora_names(models))
    if not there:
        return f"a file; {models / FOLDER} holds none"
    close = get_close_matches(name, there, n=3, cutoff=0.3) or there[:3]
    more = ", …" if len(there) > len(close) else ""
    return f"a file, or a name below {FOLDER}/: {', '.join(shown(n)[1:-1] for n in close)}{more}"
