"""The calibrated numbers of each model: TeaCache's polynomials, MagCache's ratios."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Embedding = Literal["e", "e0"]
Experts = Literal["t2v", "i2v"]


@dataclass(frozen=True)
class MagnitudeTable:
    """`ratios`: how much the residual shrinks or grows from one step to the next; they alternate between
    the pass with the prompt and the one without. `threshold`: the authors' default for this model.
    `experts`: how skipping is restricted where two experts share the run.
    """

    ratios: tuple[float, ...]
    threshold: float
    experts: Experts | None


@cache
def polynomials() -> dict[str, dict[Embedding, tuple[float, ...]]]:
    """Of each model and embedding, coefficients with the highest power first."""
    return {
        table: {name: tuple(values) for name, values in by_embedding.items()}
        for table, by_embedding in read("teacache.json").items()
    }


@cache
def magnitudes() -> dict[str, MagnitudeTable]:
    """The ratios of each model; the first two are 1."""
    return {
        name: MagnitudeTable(tuple(table["ratios"]), table["threshold"], table["experts"])
        for name, table in read("magcache.json").items()
    }


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(files(__package__).joinpath(name).read_text())
    return content
