"""An engine on the CPU that keeps to a budget: weights wait in a second place in host memory."""

from __future__ import annotations

import torch

from wancore.engine import Engine
from wancore.engine.residency import Residency
from wancore.plugins import PluginManager
from wancore.request import Request
from wancore.runtime.budget import OVERHEAD
from wancore.runtime.settings import Settings

MB = 10**6


class Tight(Engine):
    """Within so many megabytes for tensors; of the tiny weights, all but the smallest move."""

    def __init__(self, megabytes: float, plugins: PluginManager | None = None) -> None:
        super().__init__(Settings(device="cpu"), plugins)
        self.kept = Residency(torch.device("cpu"), f"{OVERHEAD / MB + megabytes}MB", least=512)

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
