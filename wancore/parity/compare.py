"""The pass criterion of a golden case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from wancore.parity.case import Case
from wancore.parity.kind import Kind, Result, as_numpy

# Expectations a case may carry outside its arrays; a handler must answer each that is there.
FACTS = ("sha256", "touched", "detect", "map")


@dataclass(frozen=True)
class Verdict:
    """How far a case is from its reference: worst absolute and relative difference, and complaints."""

    max_abs: float
    rel: float
    problems: tuple[str, ...]


def compare(case: Case, kind: Kind, result: Result) -> Verdict:
    """Every `out.*` present with the same shape and type and within tolerance; every fact equal."""
    max_abs = rel = 0.0
    problems: list[str] = []
    for name, expected in case.expected.items():
        if name not in result.outputs:
            problems.append(f"{name}: missing")
            continue
        got = as_numpy(result.outputs[name])
        if got.shape != expected.shape or not same_type(got, expected):
            problems.append(
                f"{name}: {got.dtype}{list(got.shape)}, not {expected.dtype}{list(expected.shape)}"
            )
            continue
        difference, relative, problem = array_difference(got, expected, kind)
        max_abs, rel = max(max_abs, difference), max(rel, relative)
        if problem:
            problems.append(f"{name}: {problem}")
    problems.extend(fact_problems(case, result))
    return Verdict(max_abs, rel, tuple(problems))


def same_type(got: np.ndarray, expected: np.ndarray) -> bool:
    return got.dtype == expected.dtype


def array_difference(got: np.ndarray, expected: np.ndarray, kind: Kind) -> tuple[float, float, str]:
    """(max abs, max abs over max |expected|, what is wrong or '')."""
    if expected.size == 0:
        return 0.0, 0.0, ""
    if not np.issubdtype(expected.dtype, np.floating):
        return exact_difference(got, expected, kind)
    if not np.isfinite(got).all():
        return float("inf"), float("inf"), "not finite"
    difference = float(np.abs(got.astype(np.float64) - expected).max())
    relative = difference / max(float(np.abs(expected).max()), 1e-6)
    return difference, relative, "" if relative <= kind.tolerance else f"rel {relative:.2e}"


def exact_difference(got: np.ndarray, expected: np.ndarray, kind: Kind) -> tuple[float, float, str]:
    wrong = got != expected
    difference = float(np.abs(got.astype(np.float64) - expected.astype(np.float64)).max())
    share = float(wrong.mean())
    allowed = kind.pixel_fraction if expected.dtype == np.uint8 else 0.0
    return difference, share, "" if share <= allowed else f"{int(wrong.sum())} of {wrong.size} differ"


def fact_problems(case: Case, result: Result) -> list[str]:
    expected = {name: case.meta[name] for name in FACTS if name in case.meta}
    if "pairs" in case.config:
        expected["pairs"] = case.config["pairs"]
    return [
        problem
        for name, value in expected.items()
        if (problem := fact_problem(name, value, result.facts)) is not None
    ]


def fact_problem(name: str, expected: object, facts: Mapping[str, object]) -> str | None:
    if name not in facts:
        return f"{name}: missing"
    got = facts[name]
    if got == expected:
        return None
    if isinstance(got, dict) and isinstance(expected, dict):
        wrong = [k for k in {**expected, **got} if expected.get(k) != got.get(k)]
        return f"{name}: {len(wrong)} entries differ, e.g. {wrong[0]}"
    return f"{name}: differs"
