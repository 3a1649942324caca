"""Who turns a request into events: the engine, or a runner that a plugin brings for its family."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from wancore.errors import InvalidInput
from wancore.events import Event
from wancore.live import Live
from wancore.plugins import PluginManager
from wancore.request import Request
from wancore.runtime.settings import Settings
from wancore_server import hookspecs
from wancore_server.hookspecs import LiveRunner, Runner
from wancore_server.worker.level import MemoryLevel

if TYPE_CHECKING:
    from wancore.engine.engine import Engine
    from wancore.lora.held import Shelf


class Runners:
    """Keeps up to `resident` models loaded, the last used; the least recently used goes first."""

    def __init__(self, settings: Settings, plugins: PluginManager, resident: int, level: MemoryLevel) -> None:
        self.settings, self.plugins, self.resident, self.level = settings, plugins, resident, level
        plugins.pluggy.add_hookspecs(hookspecs)
        self.own: dict[str, Runner] = {r.family: r for _, r in plugins.collect("wancore_runners")}
        self.engines: OrderedDict[str, Engine] = OrderedDict()

    def warm(self) -> None:
        """Imports what the engine runs on, so that the first job does not wait for that."""
        import wancore.engine.engine  # noqa: F401

    def run(self, request: Request) -> Iterator[Event]:
        runner = self.own.get(request.family or "")
        if runner is not None:
            return runner.run(request)
        return self.engine(request.model or self.settings.model or "").generate(request)

    def run_live(self, request: Request, live: Live) -> Iterator[Event]:
        """Raises `InvalidInput` for a runner that cannot be fed."""
        runner = self.own.get(request.family or "")
        if isinstance(runner, LiveRunner):
            return runner.run_live(request, live)
        if runner is not None:
            raise InvalidInput("live", list(request.live), "nothing: this family cannot run live")
        return self.engine(request.model or self.settings.model or "").generate(request, live)

    def engine(self, model: str) -> Engine:
        """The engine that holds a model's weights, after making room for it."""
        from wancore.engine.engine import Engine

        if model not in self.engines:
            while len(self.engines) >= self.resident:
                self.drop(next(iter(self.engines)))
            self.engines[model] = Engine(self.settings, self.plugins, self.shelf)
        self.engines.move_to_end(model)
        return self.engines[model]

    @cached_property
    def shelf(self) -> Shelf:
        """LoRA files in memory, for the engines of all models."""
        from wancore.lora.held import Shelf
        from wancore.runtime.device import pick_device

        return Shelf(pinned=pick_device(self.settings.device).type == "cuda")

    @property
    def loras(self) -> list[str]:
        """Files that are held."""
        return [str(path) for path in self.shelf.paths] if "shelf" in self.__dict__ else []

    def load(self, model: str) -> None:
        """Reads a model's weights: its transformers. Raises `WancoreError`."""
        from wancore.transformer.activations import USUAL

        engine = self.engine(model)
        plan = engine.plan(Request(model=model))
        engine.prepare_device()
        models = engine.models_for(plan.parts)
        models.expect(list(plan.experts.values()), plan.families, plan.base, USUAL)
        for files in plan.experts.values():
            models.expert(files, plan.families, plan.base)

    def drop(self, model: str) -> None:
        engine = self.engines.pop(model, None)
        if engine is not None:
            engine.unload()

    def drop_all(self) -> None:
        for model in list(self.engines):
            self.drop(model)

    @property
    def models(self) -> list[str]:
        """The last used first."""
        return list(reversed(self.engines))

    @property
    def device(self) -> str:
        return self.settings.device
