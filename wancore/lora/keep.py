"""Adapters kept on a model between requests: the next request with the same ones finds them in place."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from wancore.lora.applied import Lora
from wancore.lora.request import RequestLoras
from wancore.lora.runtime import DEFAULTS, LoraOptions, Target


class LoraKeeper:
    """Holds at most one set of adapters. `drop` before the models themselves are dropped."""

    def __init__(self) -> None:
        self._kept: tuple[Hashable, RequestLoras] | None = None

    def use(
        self, experts: Mapping[str, Target], loras: Sequence[Lora], options: LoraOptions = DEFAULTS
    ) -> RequestLoras:
        """As `RequestLoras`, at the strengths of step 0; whatever else was on is taken off first.

        The same adapters are those with the same files, unchanged on disk, strengths and filters.
        """
        modules = tuple((name, *map(id, target.modules)) for name, target in experts.items())
        key = (modules, tuple(map(identity, loras)), options)
        if self._kept is not None and self._kept[0] == key:
            self._kept[1].set_step(0)
            return self._kept[1]
        self.drop()
        applied = RequestLoras(experts, loras, options)
        self._kept = key, applied
        return applied

    def drop(self) -> None:
        """Takes off what is on."""
        if self._kept is not None:
            self._kept[1].restore()
            self._kept = None


def identity(lora: Lora) -> Hashable:
    """Differs where the file or what is asked of it does."""
    state = lora.path.stat()
    return lora.path.absolute(), state.st_mtime_ns, state.st_size, lora.spec
