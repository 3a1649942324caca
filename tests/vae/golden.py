"""Golden cases of the VAE: those copied into the project, or all of them where they are at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from wancore.parity import Case

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT / "tests/golden/_vae", ROOT.parent / "shared/golden/_vae")


def case(name: str) -> Case:
    for folder in FOLDERS:
        if (folder / f"{name}.safetensors").exists():
            return Case.load(folder / f"{name}.safetensors")
    pytest.skip(f"{name} is not at hand")
