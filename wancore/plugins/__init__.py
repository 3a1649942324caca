"""How plugins are found and what they can add."""

from wancore.plugins.hookspecs import API, hookimpl
from wancore.plugins.manager import PluginManager, PluginStatus, chosen_plugins, plugin_manager

__all__ = ["API", "PluginManager", "PluginStatus", "chosen_plugins", "hookimpl", "plugin_manager"]
