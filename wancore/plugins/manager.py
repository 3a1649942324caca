"""Finding plugins, loading them, and keeping a broken one from harming the rest."""

from __future__ import annotations

import importlib.metadata
import traceback
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import pluggy

from wancore.plugins import hookspecs

GROUP = "wancore.plugins"

State = Literal["loaded", "disabled", "incompatible", "broken"]


@dataclass(frozen=True)
class PluginStatus:
    """One installed plugin: `name` is its entry point's, `detail` why it is not loaded (a traceback)."""

    name: str
    distribution: str
    version: str
    state: State
    detail: str = ""


class PluginManager:
    """The plugins of this installation.

    `enabled`: only these names are loaded (None: all). `disabled`: these are not.
    """

    def __init__(self, enabled: Collection[str] | None = None, disabled: Collection[str] = ()) -> None:
        self.pluggy = pluggy.PluginManager("wancore")
        self.pluggy.add_hookspecs(hookspecs)
        self.status: list[PluginStatus] = []
        for entry_point in sorted(entry_points(), key=lambda e: e.name):
            chosen = (enabled is None or entry_point.name in enabled) and entry_point.name not in disabled
            self.status.append(self._load(entry_point) if chosen else describe(entry_point, "disabled"))

    def _load(self, entry_point: importlib.metadata.EntryPoint) -> PluginStatus:
        try:
            module = entry_point.load()
            if problem := incompatibility(module):
                return describe(entry_point, "incompatible", problem)
            self.pluggy.register(module, name=entry_point.name)
            self.pluggy.check_pending()
        except (Exception, SystemExit):
            if self.pluggy.has_plugin(entry_point.name):
                self.pluggy.unregister(name=entry_point.name)
            return describe(entry_point, "broken", traceback.format_exc())
        return describe(entry_point, "loaded")

    def register(self, plugin: object, name: str) -> None:
        """Adds a plugin object that has no entry point (the core's own parts, a test)."""
        self.pluggy.register(plugin, name=name)

    def collect(self, hook: str) -> Iterator[tuple[str, Any]]:
        """(plugin name, item) of everything that plugins return from `hook`.

        A hook that raises marks its plugin broken and contributes nothing.
        """
        for implementation in getattr(self.pluggy.hook, hook).get_hookimpls():
            name = implementation.plugin_name
            try:
                items = list(implementation.function())
            except Exception:
                self._mark_broken(name, traceback.format_exc())
                continue
            for item in items:
                yield name, item

    def _mark_broken(self, name: str, detail: str) -> None:
        self.status = [
            PluginStatus(s.name, s.distribution, s.version, "broken", detail) if s.name == name else s
            for s in self.status
        ]


def entry_points() -> list[importlib.metadata.EntryPoint]:
    return list(importlib.metadata.entry_points(group=GROUP))


def describe(entry_point: importlib.metadata.EntryPoint, state: State, detail: str = "") -> PluginStatus:
    distribution = entry_point.dist
    name, version = (distribution.name, distribution.version) if distribution else ("", "")
    return PluginStatus(entry_point.name, name, version, state, detail)


def incompatibility(module: object) -> str:
    """Why this core cannot load `module`, or ''."""
    declared = getattr(module, "WANCORE_API", None)
    if not (isinstance(declared, tuple) and len(declared) == 2 and all(isinstance(n, int) for n in declared)):
        return "the plugin module must declare WANCORE_API = (lowest, highest)"
    lowest, highest = declared
    if not lowest <= hookspecs.API <= highest:
        return f"needs plugin interface {lowest} to {highest}; this wancore offers {hookspecs.API}"
    return ""


@cache
def plugin_manager() -> PluginManager:
    """The process-wide manager, loaded on first use, as the settings say."""
    from wancore.runtime.settings import load_settings

    settings = load_settings()
    return chosen_plugins(settings.plugins, settings.disabled_plugins)


@cache
def chosen_plugins(enabled: tuple[str, ...] | None, disabled: tuple[str, ...]) -> PluginManager:
    """The manager of one choice (`Settings.plugins`, `Settings.disabled_plugins`), kept for the process."""
    return PluginManager(enabled, disabled)
