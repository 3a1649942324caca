from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from wancore.errors import InvalidInput, PluginError
from wancore.plugins import hookimpl
from wancore.plugins.manager import PluginManager
from wancore.sampling.builtin import SOLVERS
from wancore.sampling.registry import all_solvers, find_solver


class Plugin:
    def __init__(self, *specs):
        self.specs = specs

    @hookimpl
    def wancore_solvers(self):
        return self.specs


def manager(*plugins):
    made = PluginManager(enabled=())
    for n, plugin in enumerate(plugins):
        made.register(plugin, f"plugin-{n}")
    return made


def test_the_core_has_four_solvers():
    assert [spec.name for spec in all_solvers(manager())] == ["unipc", "dpm++", "euler", "lcm"]


def test_a_plugins_solver_is_found_by_its_name():
    mine = replace(SOLVERS[0], name="mine")
    assert find_solver("mine", all_solvers(manager(Plugin(mine)))) is mine


def test_an_unknown_name_is_refused_with_those_that_are_known():
    with pytest.raises(
        InvalidInput, match=r"solver: got 'heun'; accepted: one of dpm\+\+, euler, lcm, unipc"
    ):
        find_solver("heun", SOLVERS)


def test_two_solvers_of_one_name_name_both_owners():
    with pytest.raises(PluginError, match="'euler' comes from both the core and plugin-0"):
        all_solvers(manager(Plugin(replace(SOLVERS[0], name="euler"))))


def test_listing_the_solvers_does_not_import_torch():
    code = "import sys, wancore.sampling.builtin as b; print(len(b.SOLVERS), 'torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.split() == [str(len(SOLVERS)), "False"]
