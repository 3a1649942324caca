"""Patterns over names."""

from __future__ import annotations

import pytest

from wancore.checkpoints.pattern import PatternSet, expanded, filled, matches


def test_braces_are_choices_in_order() -> None:
    assert expanded("a.{q,k}.{weight,bias}") == ["a.q.weight", "a.q.bias", "a.k.weight", "a.k.bias"]


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("blocks.N.x", "blocks.12.x", True),
        ("blocks.N.x", "blocks.a.x", False),
        ("blocks.N.x", "blocks.1.x.y", False),
        ("blocks.*.x", "blocks.a.x", True),
        ("blocks.*.x", "blocks.a.b.x", False),
        ("audio.**", "audio.a.b.c", True),
        ("audio.**", "audio", False),
        ("**.lora_up.weight", "blocks.0.q.lora_up.weight", True),
        ("blocks.N.norm{2,3}", "blocks.0.norm3", True),
        ("a.b", "axb", False),
    ],
)
def test_matching_is_by_whole_segments(pattern: str, name: str, fits: bool) -> None:
    assert matches(pattern, name) is fits
    assert (name in PatternSet(["other", pattern])) is fits


def test_wildcards_are_filled_in_order() -> None:
    assert filled("blocks.N.x.*", ["3", "weight"]) == "blocks.3.x.weight"
