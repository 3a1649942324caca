from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import wancore.encoders

PROGRAM = """
import sys
sys.modules |= dict.fromkeys(["torch", "transformers", "ftfy", "tokenizers", "sentencepiece"])
import wancore.encoders, wancore.encoders.parity
"""


def test_importing_the_package_needs_no_library() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=60)


TEXT = """
import sys
sys.modules["transformers"] = None
import torch
from wancore.encoders.umt5 import load_umt5
print(*load_umt5(sys.argv[1])(torch.tensor([[5, 1]]), torch.ones(1, 2)).shape, "torch._dynamo" in sys.modules)
"""


def test_text_needs_neither_transformers_nor_torch_s_compiler(umt5_folder: Path) -> None:
    """Either import takes seconds, and every request has a prompt."""
    done = subprocess.run(
        [sys.executable, "-c", TEXT, umt5_folder], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["1", "2", "24", "False"], done.stderr


@pytest.mark.parametrize("name", wancore.encoders.__all__)
def test_every_public_name_is_found(name: str) -> None:
    assert getattr(wancore.encoders, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Encoder'"):
        wancore.encoders.Encoder  # noqa: B018
