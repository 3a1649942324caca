"""The author's guide shows what the example's files hold."""

from __future__ import annotations

import re

from tools import guide


def test_it_is_not_stale():
    shown = guide.GUIDE.read_text(encoding="utf-8")
    assert guide.filled(shown) == shown, "run: python tools/guide.py"


def test_the_whole_example_is_in_it():
    files = {"pyproject.toml", *(f"film_look/{f.name}" for f in (guide.EXAMPLE / "film_look").glob("*.py"))}
    assert len(files) == 7 and files <= guide.shown_whole()


def test_a_change_to_the_example_would_be_seen():
    shown = guide.GUIDE.read_text(encoding="utf-8")
    assert guide.filled(shown.replace("return torch.lerp", "return torch.slerp")) == shown
    assert shown.count("torch.lerp") == 1


def test_no_code_of_the_example_is_written_by_hand():
    shown = guide.GUIDE.read_text(encoding="utf-8")
    by_hand = re.findall(r"(?<!-->)\n```(?:python|toml)\n", shown)
    assert not by_hand
