"""Writes the methods of the in-tree plugins into their READMEs: `python tools/method_cards.py`."""

from __future__ import annotations

from pathlib import Path

from wancore.plugins import plugin_manager
from wancore.sampling.method import MethodSpec
from wancore.sampling.method_card import with_card

PLUGINS = Path(__file__).parents[1] / "plugins"


def by_plugin() -> dict[str, list[MethodSpec]]:
    methods: dict[str, list[MethodSpec]] = {}
    for plugin, spec in plugin_manager().collect("wancore_methods"):
        methods.setdefault(plugin, []).append(spec)
    return methods


if __name__ == "__main__":
    for plugin, specs in by_plugin().items():
        page = PLUGINS / plugin / "README.md"
        if page.exists():
            page.write_text(with_card(page.read_text(), specs))
