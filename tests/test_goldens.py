"""Every golden case: the picks copied into the project, and whole groups where the collection is at hand."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from wancore.parity.builtin import core_kinds
from wancore.parity.case import Case
from wancore.parity.runner import Kinds, find_cases, is_case, registered, run_case
from wancore.plugins import plugin_manager

ROOT = Path(__file__).resolve().parents[1]
COLLECTION = ROOT.parent / "shared" / "golden"
MAX_COPIED_BYTES = 4_000_000


def copied_folders() -> list[Path]:
    return [ROOT / "tests" / "golden", *sorted(ROOT.glob("plugins/*/tests/golden"))]


def copied_files() -> list[Path]:
    """Cases, and the checkpoint files that some are about."""
    return [file for folder in copied_folders() for file in sorted(folder.rglob("*")) if file.is_file()]


@cache
def kinds() -> Kinds:
    return registered([*core_kinds(), *(kind for _, kind in plugin_manager().collect("wancore_parity"))])


def installed() -> set[str]:
    return {family.id for _, family in plugin_manager().collect("wancore_families")} | {
        name for name in kinds() if not name.startswith("_")
    }


def cases() -> Iterator[Path]:
    """The copied cases, then the rest of every group that has handlers."""
    copies = {original(file) for file in copied_files()}
    yield from (file for file in copied_files() if file.suffix == ".safetensors" and is_case(file))
    groups = [COLLECTION / name for name in sorted(kinds()) if (COLLECTION / name).is_dir()]
    yield from (file for file, _ in find_cases(groups) if file not in copies)


def original(file: Path) -> Path | None:
    """The file of the collection that `file` is a copy of; plugins may leave out the group's folder."""
    folder = next(folder for folder in copied_folders() if file.is_relative_to(folder))
    inner = file.relative_to(folder)
    places = [COLLECTION / inner]
    if file.suffix == ".safetensors" and is_case(file):
        places.append(COLLECTION / Case.load(file).family / inner)
    return next((place for place in places if place.is_file()), None)


def shown(file: Path) -> str:
    return str(file.relative_to(COLLECTION if file.is_relative_to(COLLECTION) else ROOT))


@pytest.mark.parametrize("file", list(cases()), ids=shown)
def test_case(file: Path) -> None:
    outcome = run_case(file, shown(file), kinds(), installed())
    if outcome.status == "SKIP":
        pytest.skip(outcome.reason)
    if outcome.status == "FAIL":
        pytest.fail(outcome.line(), pytrace=False)


@pytest.mark.skipif(not COLLECTION.is_dir(), reason="the collection of golden cases is not at hand")
@pytest.mark.parametrize("file", copied_files(), ids=shown)
def test_copies_are_exact(file: Path) -> None:
    source = original(file)
    assert source is not None, f"{shown(file)} is not in {COLLECTION}"
    assert file.read_bytes() == source.read_bytes()


def test_copies_are_few() -> None:
    assert copied_files()
    assert sum(file.stat().st_size for file in copied_files()) < MAX_COPIED_BYTES
