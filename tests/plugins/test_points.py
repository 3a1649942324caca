"""docs/points.md has a section for every extension point, with an example that runs."""

from __future__ import annotations

import dataclasses
import inspect
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from wancore.plugins.conditioning import Conditioning
from wancore.plugins.family import Family
from wancore.transformer.adapter import Adapter, Pieces, Values

PAGE = (Path(__file__).parents[2] / "docs" / "points.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"```python\n# ((?:example: )?\w+)\n(.*?)```", PAGE, re.DOTALL))
EXAMPLES = [name.removeprefix("example: ") for name in BLOCKS if name != "scene"]
#: What headings and first cells of tables say in code.
NAMED = {
    name
    for line in PAGE.splitlines()
    if line.startswith(("## ", "| `"))
    for name in re.findall(r"`([\w.]+)`", line if line[0] == "#" else line.split("|")[1])
}


def points() -> list[str]:
    found = [f"{c.__name__}.{f.name}" for c in (Pieces, Values, Conditioning) for f in dataclasses.fields(c)]
    own = [name for name in vars(Adapter) if not name.startswith("_")]
    contract = [name for name, _ in inspect.getmembers(Family) if not name.startswith("_")]
    return [*found, *(f"Adapter.{name}" for name in own), *(f"Family.{name}" for name in contract)]


@cache
def scene() -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    exec(compile(BLOCKS["scene"], "docs/points.md:scene", "exec"), namespace)
    return namespace


@pytest.mark.parametrize("point", points())
def test_every_point_has_its_place(point: str) -> None:
    assert point in NAMED


def test_no_place_is_for_a_point_that_is_gone() -> None:
    others = {"SolverSpec", "record"}
    assert NAMED - others <= set(points())


def test_every_section_has_an_example() -> None:
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    bare = [s.splitlines()[0] for s in sections if "# example: " not in s]
    assert not bare


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name: str) -> None:
    grad = torch.is_grad_enabled()
    try:
        exec(compile(BLOCKS[f"example: {name}"], f"docs/points.md:{name}", "exec"), dict(scene()))
    finally:
        torch.set_grad_enabled(grad)
