"""The table of faults in docs/ names tests that there are."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/service-faults.md"
NUMBERS = [*range(1, 40), 41]  # 40 needs more than one machine, 42 is for the night


def rows() -> Iterator[tuple[int, str]]:
    for line in PAGE.read_text().splitlines():
        if found := re.match(r"\| (\d+) \|[^|]+\|(.+)\|$", line):
            yield int(found[1]), found[2]


@cache
def defined_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_every_fault_has_tests_that_exist() -> None:
    assert [number for number, _ in rows()] == NUMBERS
    for number, cell in rows():
        named = re.findall(r"`([\w/.-]*\.py)?(?:::(test_\w+))?`", cell)
        assert named, number
        path = Path()
        for file, test in named:
            if file:
                path = ROOT / file if file.startswith("plugins/") else ROOT / "tests/server" / file
            assert path.is_file(), (number, file)
            assert not test or test in defined_in(path), (number, path.name, test)
