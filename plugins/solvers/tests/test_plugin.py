from __future__ import annotations

import subprocess
import sys

import pytest
import wancore_solvers
from wancore_solvers.parity_names import COUNTERPARTS, counterpart

from wancore.plugins import plugin_manager
from wancore.sampling.registry import all_solvers, find_solver


def test_an_installation_with_the_plugin_offers_its_solvers():
    names = {spec.name for spec in all_solvers(plugin_manager())}
    assert names >= {spec.name for spec in wancore_solvers.wancore_solvers()} | {"unipc"}


def test_declaring_solvers_and_golden_kinds_imports_neither_torch_nor_scipy():
    code = (
        "import sys, wancore_solvers as s; s.wancore_solvers(); s.wancore_parity();"
        "print({'torch', 'scipy'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "set()"


@pytest.mark.parametrize("name", COUNTERPARTS)
def test_every_solver_of_the_wrapper_has_a_counterpart(name):
    spec = counterpart(name).spec
    assert find_solver(spec.name, all_solvers(plugin_manager())) is spec


def test_the_transformers_width_tells_the_two_causvids_apart():
    assert counterpart("flowmatch_causvid", 5120).solver == "causvid"
    assert counterpart("flowmatch_causvid", 1536).solver == "causvid-4"
