from __future__ import annotations

import subprocess
import sys

import pytest

import wancore.encoders

PROGRAM = """
import sys
sys.modules |= dict.fromkeys(["torch", "transformers", "ftfy", "tokenizers", "sentencepiece"])
import wancore.encoders, wancore.encoders.parity
"""


def test_importing_the_package_needs_no_library() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=60)


@pytest.mark.parametrize("name", wancore.encoders.__all__)
def test_every_public_name_is_found(name: str) -> None:
    assert getattr(wancore.encoders, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Encoder'"):
        wancore.encoders.Encoder  # noqa: B018
