"""Finds golden cases, runs them through the registered handlers, says how they went."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wancore.checkpoints.header import HeaderError, read_header
from wancore.parity.case import Case
from wancore.parity.kind import Kind
from wancore.parity.place import Place, judge

Status = Literal["PASS", "FAIL", "SKIP"]
Kinds = Mapping[str, Mapping[str, Kind]]  # family -> kind -> handler


@dataclass(frozen=True)
class Outcome:
    """One line of the report."""

    status: Status
    name: str  # family/kind
    path: str
    max_abs: float = 0.0
    rel: float = 0.0
    tolerance: float = 0.0
    reason: str = ""

    def line(self) -> str:
        figures = f"max_abs={self.max_abs:.3e} rel={self.rel:.3e} tol={self.tolerance:.0e}"
        return f"{self.status} {self.name} {self.path} {figures}{' ' + self.reason if self.reason else ''}"


def registered(kinds: Iterable[Kind]) -> Kinds:
    """Handlers by family and kind; two handlers for one kind are a programming error."""
    table: dict[str, dict[str, Kind]] = {}
    for kind in kinds:
        group = table.setdefault(kind.family, {})
        if kind.kind in group:
            raise ValueError(f"two handlers for {kind.family}/{kind.kind}")
        group[kind.kind] = kind
    return table


def find_cases(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """(file, path shown) of every golden case under `paths`; other files are not cases."""
    for root in paths:
        if not root.exists():
            raise FileNotFoundError(f"no such file or folder: {root}")
        files = [root] if root.is_file() else sorted(root.rglob("*.safetensors"))
        for file in files:
            if is_case(file):
                yield file, str(file.relative_to(root) if root.is_dir() else file.name)


def is_case(file: Path) -> bool:
    try:
        return "case" in read_header(file).metadata
    except HeaderError:
        return False


def run(
    paths: Iterable[Path], kinds: Kinds, families: Iterable[str], place: Place | None = None
) -> Iterator[Outcome]:
    """Runs every case; `families` are the installed ones, whose unknown kinds fail instead of skip.

    `place`: where and in what the networks compute, instead of float32 on the CPU; other cases are skipped.
    """
    installed = set(families) | {name for name in kinds if not name.startswith("_")}
    for file, shown in find_cases(paths):
        yield run_case(file, shown, kinds, installed, place)


def run_case(
    file: Path, shown: str, kinds: Kinds, installed: set[str], place: Place | None = None
) -> Outcome:
    try:
        case = Case.load(file)
        name = f"{case.family}/{case.kind}"
    except Exception as error:
        return Outcome("FAIL", "?/?", shown, reason=f"unreadable case: {one_line(error)}")
    kind = kinds.get(case.family, {}).get(case.kind)
    if kind is None:
        known = case.family in installed or case.family in kinds
        reason = f"no handler for kind {case.kind!r}" if known else f"{case.family} is not installed"
        return Outcome("FAIL" if known else "SKIP", name, shown, reason=reason)
    if place is not None and not kind.placed:
        return Outcome("SKIP", name, shown, reason="no network, or not one that can be placed")
    return run_handler(case, kind, name, shown, place or Place())


def run_handler(case: Case, kind: Kind, name: str, shown: str, place: Place = Place()) -> Outcome:
    try:
        judged = judge(case, kind, place)
    except Exception as error:
        return Outcome("FAIL", name, shown, tolerance=kind.tolerance, reason=one_line(error))
    verdict = judged.verdict
    status: Status = "FAIL" if verdict.problems else "PASS"
    reason = "; ".join(filter(None, (judged.beside, *verdict.problems[:3])))
    return Outcome(status, name, shown, verdict.max_abs, verdict.rel, judged.tolerance, reason)


def one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


@dataclass(frozen=True)
class Summary:
    passed: int
    failed: int
    skipped: int

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> Summary:
        status = [o.status for o in outcomes]
        return cls(status.count("PASS"), status.count("FAIL"), status.count("SKIP"))

    def line(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"

    def succeeded(self, strict: bool) -> bool:
        return self.passed > 0 and self.failed == 0 and not (strict and self.skipped)


def as_json_text(outcomes: list[Outcome]) -> str:
    summary = Summary.of(outcomes)
    return json.dumps({"cases": [vars(o) for o in outcomes], "summary": vars(summary)}, indent=1)
