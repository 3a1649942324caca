"""The core names no model family: what belongs to one is in its plugin, or in a data file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wancore.checkpoints.known import entries

ROOT = Path(__file__).resolve().parents[2]
#: The model that the core is for, and an English word.
PLAIN = {"wan", "fun"}
#: English phrases that a family is named after; only its own spellings count.
PHRASES = {"standin": "standin|StandIn|Stand-In"}
#: What is called like a family and is another project's.
OTHERS = "(?!Diff)"


def spellings() -> re.Pattern[str]:
    names = {entry.family for entry in entries()} - PLAIN
    exact = [PHRASES.get(name) for name in names if name in PHRASES]
    folded = [re.escape(name) for name in sorted(names - PHRASES.keys())]
    return re.compile(rf"(?<![A-Za-z])(?:{'|'.join(exact)}|(?i:{'|'.join(folded)})){OTHERS}(?![a-z])")


@pytest.mark.parametrize(
    "text", ["# VACE", 'if family == "infinitetalk":', "class ReCamMaster:", "vace_blocks", "Stand-In"]
)
def test_the_search_finds_families(text):
    assert spellings().search(text)


@pytest.mark.parametrize(
    "text", ["a stand-in for the model", "surface", "Wan", "functions", "gyration", "AnimateDiff"]
)
def test_the_search_finds_nothing_else(text):
    assert not spellings().search(text)


def test_no_file_of_the_core_names_a_family():
    names = spellings()
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for file in sorted((ROOT / "wancore").rglob("*.py"))
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if names.search(line)
    ]
    assert not found, "\n".join(found)
