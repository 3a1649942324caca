"""docs/hooks.md has a section with a running example for every hook."""

from __future__ import annotations

import inspect
import re
import types
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner
from wancore_server import hookspecs as server_hookspecs

from wancore.errors import InvalidInput
from wancore.events import Frames
from wancore.kernels.attention import Attention, sdpa
from wancore.kernels.attention.choice import BACKENDS
from wancore.parity import Kind
from wancore.plugins import PluginManager, hookspecs
from wancore.plugins.family import FamilyBase
from wancore.plugins.inputs import check_roles, parse_parameters
from wancore.request import parse_request

PAGE_FILE = Path(__file__).parents[2] / "docs" / "hooks.md"
PAGE = PAGE_FILE.read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"```python\n# example: (\w+)\n(.*?)```", PAGE, re.DOTALL))
HOOKS = [
    name
    for specs in (hookspecs, server_hookspecs)
    for name, _ in inspect.getmembers(specs, inspect.isfunction)
    if name.startswith("wancore_")
]


def plugin(hook: str) -> types.ModuleType:
    """The example as the module of an installed plugin."""
    module = types.ModuleType(f"example_{hook}")
    module.__file__ = str(PAGE_FILE)
    exec(compile(EXAMPLES[hook], f"docs/hooks.md:{hook}", "exec"), module.__dict__)
    return module


@pytest.fixture
def collected(request) -> list:
    """What the example's hook returns, through a plugin manager of its own."""
    hook = request.param
    manager = PluginManager(enabled=())
    manager.pluggy.add_hookspecs(server_hookspecs)
    manager.register(plugin(hook), "example")
    return [item for _, item in manager.collect(hook)]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_section_and_an_example(hook):
    assert f"\n## {hook}\n" in PAGE
    assert plugin(hook).WANCORE_API[0] <= hookspecs.API <= plugin(hook).WANCORE_API[1]


@pytest.mark.parametrize("collected", ["wancore_models"], indirect=True)
def test_model(collected):
    (model,) = collected
    assert (model.name, model.family) == ("my-small-model", "my-family") and model.folder.name == "model"


@pytest.mark.parametrize("collected", ["wancore_families"], indirect=True)
def test_family(collected):
    (family,) = collected
    assert isinstance(family, FamilyBase) and family.id == "mirror"
    check_roles(family.inputs, {"style": "s.png"}, family.name)
    assert parse_parameters(family.parameters, {"mirror": True}).mirror
    assert family.finish(None, torch.arange(3.0)[None]).tolist() == [[2, 1, 0]]


@pytest.mark.parametrize("collected", ["wancore_solvers"], indirect=True)
def test_solver(collected):
    (spec,) = collected
    schedule = spec.schedule(4, 5.0)
    solver, x = spec.make(schedule), torch.ones(2)
    for i in range(4):
        x = solver.step(i, x, torch.ones(2), torch.randn)
    assert torch.allclose(x, torch.zeros(2)), "a constant velocity of 1 takes 1 to 0"


@pytest.mark.parametrize("collected", ["wancore_methods"], indirect=True)
def test_method(collected):
    (spec,) = collected
    method = spec.make(parse_parameters(spec.parameters, {"factor": 0.5}), None)
    assert method.around_velocity(lambda x: 4 * x, torch.ones(1), None).item() == 2


@pytest.mark.parametrize("collected", ["wancore_attention"], indirect=True)
def test_attention(collected):
    attention = Attention("plain", (*BACKENDS, *collected))
    q = torch.randn(5, 2, 8)
    assert torch.allclose(attention(q, q, q), sdpa(q, q, q), atol=1e-5)


@pytest.mark.parametrize("collected", ["wancore_parity"], indirect=True)
def test_parity(collected):
    (kind,) = collected
    assert isinstance(kind, Kind) and kind.resolve()(types.SimpleNamespace(inputs={"x": 3})) == {"y": 6}


def test_command():
    app = typer.Typer()
    app.callback()(lambda: None)
    plugin("wancore_commands").wancore_commands(app)
    assert CliRunner().invoke(app, ["greet", "--name", "you"]).output == "hello, you\n"


@pytest.mark.parametrize("collected", ["wancore_runners"], indirect=True)
def test_runner(collected):
    (runner,) = collected
    assert isinstance(runner, server_hookspecs.CheckingRunner)
    events = list(runner.run(parse_request({"size": "32x16", "frames": 3})))
    assert sum(len(e.frames) for e in events if isinstance(e, Frames)) == 3
    with pytest.raises(InvalidInput, match="size"):
        runner.check(parse_request({}))
