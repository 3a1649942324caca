"""An engine that keeps to a budget: weights wait in host memory; on the CPU, in a second place there."""

from __future__ import annotations

from wancore.engine import Engine
from wancore.engine.residency import Residency
from wancore.plugins import PluginManager
from wancore.request import Request
from wancore.runtime.budget import OVERHEAD
from wancore.runtime.settings import Settings

MB = 10**6
ON_CPU = Settings(device="cpu")


class Tight(Engine):
    """Within so many megabytes for tensors; of the tiny weights, all but the smallest move."""

    def __init__(
        self, megabytes: float, plugins: PluginManager | None = None, settings: Settings = ON_CPU
    ) -> None:
        super().__init__(settings, plugins)
        self.kept = Residency(self.device, f"{OVERHEAD / MB + megabytes}MB", least=512)

    def residency(self) -> Residency:
        return self.kept


def tightest(request: Request, plugins: PluginManager | None = None) -> Tight:
    """The smallest budget that the request runs in."""
    roomy = Tight(1000, plugins)
    for _ in roomy.generate(request):
        pass
    houses = list(roomy.kept.houses.values())
    assert all(house.plan is not None and not house.plan.swapped for house in houses)
    beside = [roomy.kept.beside(house) for house in houses]
    least = max(house.needs().least - b for house, b in zip(houses, beside, strict=True))
    others = sum(house.needs().rest - b for house, b in zip(houses, beside, strict=True)) if beside[0] else 0
    return Tight((least + others) * 1.001 / MB, plugins)
