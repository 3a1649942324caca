"""Request in, stream of events out."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from functools import cached_property

import torch

from wancore.checkpoints.parts import Parts
from wancore.encoders.cache import PromptCache
from wancore.engine.defaults import with_defaults
from wancore.engine.files import ModelFiles
from wancore.engine.generation import Generation
from wancore.engine.lead import collect_families
from wancore.engine.loras import LoraUse, check_loras
from wancore.engine.models import Models
from wancore.engine.plan import Plan, plan_request
from wancore.engine.residency import Residency
from wancore.errors import InvalidInput, MemoryShortage, PluginError
from wancore.events import Accepted, Event
from wancore.kernels.attention import Attention, use
from wancore.kernels.attention.registry import all_backends
from wancore.live import Live
from wancore.lora.held import Shelf
from wancore.lora.request import located
from wancore.lora.runtime import LoraOptions
from wancore.plugins import PluginManager, chosen_plugins
from wancore.plugins.family import Family
from wancore.request import Request
from wancore.runtime.budget import device_memory
from wancore.runtime.device import pick_device, pick_dtype
from wancore.runtime.gpu import Gpu
from wancore.runtime.settings import Settings
from wancore.runtime.switches import apply, set_allocator, switches
from wancore.sampling.method import MethodSpec
from wancore.sampling.registry import all_solvers
from wancore.sampling.solver import SolverSpec


class Engine:
    """Runs requests, one at a time, and keeps the last model's weights for the next.

    engine = Engine(load_settings(models="models"))
    for event in engine.generate(parse_request({"prompt": "a red ball", "model": "wan2.1-t2v-1.3b"})):
        ...
    """

    def __init__(
        self, settings: Settings, plugins: PluginManager | None = None, shelf: Shelf | None = None
    ) -> None:
        """`shelf`: LoRA files that are held in memory, shared with other engines."""
        self.settings = settings
        self.plugins = plugins or chosen_plugins(settings.plugins, settings.disabled_plugins)
        self.files = ModelFiles(settings, self.plugins)
        self.device = pick_device(settings.device)
        self.dtype = pick_dtype(settings.dtype, self.device)
        self.attention = Attention(settings.attention, all_backends(self.plugins))
        self.attention.check(self.device)
        self.prompts = PromptCache()
        self.shelf = shelf or Shelf(pinned=self.device.type == "cuda")
        self._models: Models | None = None

    @cached_property
    def families(self) -> Mapping[str, Family]:
        """Installed families by id; two with one id are both refused."""
        return collect_families(self.plugins)

    @cached_property
    def solvers(self) -> tuple[SolverSpec, ...]:
        return all_solvers(self.plugins)

    @cached_property
    def methods(self) -> Mapping[str, MethodSpec]:
        specs: dict[str, MethodSpec] = {}
        for plugin, spec in self.plugins.collect("wancore_methods"):
            if spec.name in specs:
                raise PluginError(f"two plugins offer the method {spec.name!r}, one of them {plugin}")
            specs[spec.name] = spec
        return specs

    def plan(self, request: Request) -> Plan:
        """Validates a request against its model, from headers alone; nothing is loaded."""
        request = with_defaults(request, self.settings)
        plan = plan_request(request, self.files.parts(request), self.families, self.files.locate)
        use = self.loras(request)
        if use.loras:
            check_loras(use, plan)
        return plan.with_parameters(self.settings.parameters)

    def loras(self, request: Request) -> LoraUse:
        """The request's adapters, and how they are applied; from headers alone."""
        settings = self.settings
        options = LoraOptions(settings.lora_mode, settings.lora_streaming, settings.lora_timing)
        loras = located(request.loras, settings.models, self.shelf)
        masters = tuple(self.files.locate(name) for name in settings.lora_master) if loras else ()
        return LoraUse(loras, options, masters, settings.lora_originals)

    def generate(self, request: Request, live: Live | None = None) -> Iterator[Event]:
        """Events of one generation. Closing the iterator cancels it within one step.

        `live` feeds the roles of `request.live`; the iterator waits for it. Raises `WancoreError` on the
        first `next` for what is wrong with the request, later `LiveClosed` or `BlockFailed` in a live one.
        """
        if set(request.live) != set(live.sounds if live is not None else ()):
            raise InvalidInput("live", list(request.live), "the roles that are fed while it runs")
        plan = self.plan(request)
        self.prepare_device()
        self.attention.settle("self", self.device, self.dtype, plan.base.transformer.head_dim)
        use(self.attention)
        try:
            yield from self.generation(plan, live).events()
        except torch.OutOfMemoryError:
            free = device_memory(self.device)[1]
            raise MemoryShortage(None, free, "fewer frames, a smaller size, or overlapping windows") from None

    def check(self, request: Request) -> Accepted:
        """What `generate` would make, from headers and inputs alone: no weights are loaded.

        Raises `WancoreError` for what is wrong with the request, as `generate` does.
        """
        live = Live(request.live) if request.live else None
        return self.generation(self.plan(request), live).accepted()

    def generation(self, plan: Plan, live: Live | None = None) -> Generation:
        loras = self.loras(plan.request)
        settle = self.settle if self.settings.stage_timing else lambda: None
        return Generation(plan, self.models_for, self.solvers, self.methods, loras, live, settle)

    def settle(self) -> None:
        """Waits until the device has done what was queued."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def prepare_device(self) -> None:
        """Before the first computation; until then no GPU is started, so that plans and checks need none."""
        if self.device.type == "cuda":
            set_allocator(self.settings)
            index = self.device.index if self.device.index is not None else torch.cuda.current_device()
            apply(switches(Gpu.at(index), self.settings))

    def residency(self) -> Residency | None:
        """Where a model's weights will be: on a GPU within the budget; a CPU has them all."""
        if self.device.type == "cpu" and self.settings.vram is None:
            return None
        return Residency(self.device, self.settings.vram)

    def models_for(self, parts: Parts) -> Models:
        """The loaded parts of a model; another model's are dropped first."""
        if self._models is None or self._models.parts != parts:
            self._models = None
            gc.collect()  # adapters on the old weights refer to them in circles
            self._models = Models(
                parts,
                self.device,
                self.dtype,
                self.prompts,
                self.attention,
                self.settings.linears == "fp8",
                self.settings.compile,
                self.settings.cuda_graphs == "auto",
                self.residency(),
            )
        return self._models

    def unload(self) -> None:
        """Frees the weights of the last model."""
        self._models = None
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
