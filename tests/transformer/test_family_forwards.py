"""Adapters of five families against the outputs of the original models."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.transformer.goldens import FAMILIES, files
from tests.transformer.models import relative
from wancore.parity.case import Case

# The families' picks are part of the project; the full collection may or may not be there.
PICKED = {"recammaster", "vace", "infinitetalk", "standin", "scail"}


def test_every_family_has_a_case() -> None:
    assert {file.parent.name for file in files()} >= PICKED


@torch.no_grad()
@pytest.mark.parametrize("file", files(), ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_forward(file: Path) -> None:
    case = Case.load(file)
    outputs = FAMILIES[case.family](case)
    assert set(outputs) == set(case.expected)
    for name, output in outputs.items():
        wanted = torch.from_numpy(case.expected[name])
        assert output.shape == wanted.shape
        assert relative(output, wanted) < 1e-4, name
