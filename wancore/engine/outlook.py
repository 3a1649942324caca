"""How a model's weights would lie in memory, from headers alone."""

from __future__ import annotations

from wancore.engine.engine import Engine
from wancore.engine.residency import Residency
from wancore.engine.units import work_of
from wancore.errors import MemoryShortage
from wancore.plugins import PluginManager
from wancore.request import Request, parse_request
from wancore.runtime.settings import Settings


def outlook(
    settings: Settings, plugins: PluginManager, model: str, size: str, frames: int
) -> list[tuple[str, str]]:
    """(expert, plan) for a clip of that size and length; what would fit where nothing does."""
    engine = Engine(settings, plugins)
    asked = parse_request({"model": model, "size": size, "frames": frames})
    plan = engine.plan(Request(model=model))
    assert asked.size is not None
    work = work_of(plan.base, asked.size.width, asked.size.height, frames, engine.dtype)
    needs = engine.models_for(plan.parts).needs(list(plan.experts.values()), plan.families, plan.base, work)
    rows = [("tokens", f"{work.rows} in {asked.size.width}x{asked.size.height}, {frames} frames")]
    try:
        plans, together = Residency(engine.device, settings.vram).plans(needs)
    except MemoryShortage as shortage:
        return [*rows, ("does not fit", str(shortage))]
    for name, files in plan.experts.items():
        rows.append((f"{name} transformer".strip(), plans[files.transformer].describe()))
    if len(plans) > 1 and not together:
        rows.append(("experts", "take turns on the device"))
    return rows
