"""What lies in a tree of folders, from headers alone: one line a checkpoint."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from wancore.checkpoints.candidates import checkpoints_in
from wancore.checkpoints.container import PICKLE_SUFFIXES
from wancore.checkpoints.inspect import checkpoint_report, inspect
from wancore.checkpoints.recognise import Recogniser
from wancore.checkpoints.report import Identity, Report, json_types
from wancore.checkpoints.twins import Twins
from wancore.errors import CheckpointError

BATCH = 50  # files that are looked at before their lines are given


@dataclass(frozen=True)
class Found:
    """One checkpoint of a tree.

    `name`: its path below the root, with forward slashes. `what`: in one phrase; `family`: whose it is, ''
    for components and where it is not decided. `formats`: of its weights, or dtypes, largest first.
    """

    name: str
    what: str
    family: str = ""
    bytes: int = 0
    formats: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return dict(json_types(asdict(self)))


def scan(root: Path | str, families: Sequence[Recogniser]) -> Iterator[Found]:
    """Every checkpoint below `root`, in the order of folders and names; shards of one model are one.

    Pickle files are listed, not opened. A file that cannot be read is listed with the reason. Raises
    `CheckpointError` if there is no such folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise CheckpointError(root, "no such folder")
    twins, paths = Twins(), checkpoints_in(root, deep=True)
    while batch := list(islice(paths, BATCH)):
        with without_collector():
            found = [found_at(root, path, families, twins) for path in batch]
        yield from found


@contextmanager
def without_collector() -> Iterator[None]:
    """Thousands of small tuples make it run over all that is there again and again, for nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def found_at(root: Path, path: Path, families: Sequence[Recogniser], twins: Twins) -> Found:
    name = path.relative_to(root).as_posix()
    if path.suffix in PICKLE_SUFFIXES:
        advice = "not opened; `wancore convert` turns it into safetensors"
        return Found(name, "a pickle file", bytes=size_of(path), problems=(advice,))
    try:
        looked = twins.looked(path)
        report = checkpoint_report(looked, families) if looked is not None else inspect(path, families)
        return of_report(name, report)
    except CheckpointError as error:
        return Found(name, "unreadable", bytes=size_of(path), problems=(error.problem,))


def of_report(name: str, report: Report) -> Found:
    contents, identity = report.contents, report.identity
    if contents is None or identity is None:
        return Found(name, report.what, problems=report.problems)
    known = identity.known.fits[0].family if identity.known.fits and not identity.components else ""
    return Found(
        name,
        report.what,
        family=identity.family.family if identity.family else known,
        bytes=contents.bytes,
        formats=tuple(f.name for f in contents.formats) or tuple(d.dtype for d in contents.dtypes[:2]),
        problems=(*undecided(identity), *report.problems),
    )


def undecided(identity: Identity) -> tuple[str, ...]:
    """Where several families fit: which, and how to choose."""
    return (identity.undecided,) if identity.claims and identity.undecided else ()


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0
