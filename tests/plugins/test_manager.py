"""Plugins that are broken, incompatible, disabled or fail later, and the ones beside them."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint

import pytest

from wancore.plugins import PluginManager, hookspecs, manager

GOOD = """
from wancore.plugins import hookimpl
WANCORE_API = (1, 1)
@hookimpl
def wancore_parity():
    return ["good"]
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs modules by name and source as plugins; returns what makes a manager of them."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(**sources: str):
        points = []
        for name, source in sources.items():
            (tmp_path / f"plugin_{name}.py").write_text(source)
            points.append(EntryPoint(name, f"plugin_{name}", manager.GROUP))
        monkeypatch.setattr(manager, "entry_points", lambda: points)
        return PluginManager

    yield install
    for name in [n for n in sys.modules if n.startswith("plugin_")]:
        del sys.modules[name]


def states(plugins: PluginManager) -> dict[str, str]:
    return {s.name: s.state for s in plugins.status}


@pytest.mark.parametrize(
    ("source", "detail"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("def oops(:", "SyntaxError"),
        ("import a_module_that_is_not_there", "ModuleNotFoundError"),
        ("raise SystemExit(3)", "SystemExit"),
        (
            "from wancore.plugins import hookimpl\nWANCORE_API = (1, 1)\n"
            "@hookimpl\ndef wancore_unheard_of(): ...",
            "wancore_unheard_of",
        ),
    ],
)
def test_a_broken_plugin_is_reported_and_alone(source, detail, installed):
    plugins = installed(bad=source, good=GOOD)()
    assert states(plugins) == {"bad": "broken", "good": "loaded"}
    bad = next(s for s in plugins.status if s.name == "bad")
    assert "Traceback" in bad.detail and detail in bad.detail
    assert list(plugins.collect("wancore_parity")) == [("good", "good")]


@pytest.mark.parametrize("declared", ["", "WANCORE_API = 1", f"WANCORE_API = ({hookspecs.API + 1}, 99)"])
def test_an_incompatible_plugin_is_not_loaded(declared, installed):
    plugins = installed(other=declared, good=GOOD)()
    assert states(plugins) == {"other": "incompatible", "good": "loaded"}


def test_chosen_by_name(installed):
    make = installed(one=GOOD, two=GOOD)
    assert states(make(enabled=("two",))) == {"one": "disabled", "two": "loaded"}
    assert states(make(disabled=("two",))) == {"one": "loaded", "two": "disabled"}


def test_a_hook_that_raises_breaks_only_its_plugin(installed):
    raising = GOOD.replace('return ["good"]', "raise RuntimeError('later')")
    plugins = installed(late=raising, good=GOOD)()
    assert list(plugins.collect("wancore_parity")) == [("good", "good")]
    assert states(plugins) == {"late": "broken", "good": "loaded"}
    assert "later" in next(s.detail for s in plugins.status if s.name == "late")


def test_the_first_disabled_plugin_is_not_imported(installed):
    plugins = installed(bad="raise RuntimeError('imported')")(disabled=("bad",))
    assert states(plugins) == {"bad": "disabled"} and "plugin_bad" not in sys.modules
