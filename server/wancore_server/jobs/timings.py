"""How long jobs take, as measured: for estimates, never a guess."""

from __future__ import annotations

from wancore_server.jobs.live import LiveJob
from wancore_server.store import Store

MEMORY = 8  # later measurements weigh as one of this many


class Timings:
    """Seconds by (family, model, shape, steps, device)."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.seconds: dict[str, tuple[float, int]] = {}

    async def load(self) -> None:
        self.seconds = dict(await self.store.timings())

    async def measured(self, live: LiveJob, seconds: float) -> None:
        key = self.key(live)
        mean, count = self.seconds.get(key, (seconds, 0))
        weight = 1 / min(count + 1, MEMORY)
        self.seconds[key] = (mean + (seconds - mean) * weight, count + 1)
        await self.store.put_timing(key, *self.seconds[key])

    def estimate(self, live: LiveJob) -> float | None:
        """Expected seconds of a run, or None where no such job was seen."""
        found = self.seconds.get(self.key(live))
        return None if found is None else found[0]

    def key(self, live: LiveJob) -> str:
        spec = live.info.spec
        shape = f"{spec.shape.width}x{spec.shape.height}x{spec.shape.frame_count}"
        return f"{live.family} {live.model} {shape} {spec.sampling.steps}"
