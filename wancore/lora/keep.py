"""Adapters kept on a model between requests: the next request with the same ones finds them in place."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from torch import nn

from wancore.lora.applied import Lora
from wancore.lora.request import RequestLoras
from wancore.lora.runtime import DEFAULTS, LoraOptions


class LoraKeeper:
    """Holds at most one set of adapters. `drop` before the models themselves are dropped."""

    def __init__(self) -> None:
        self._kept: tuple[tuple[Hashable, ...], RequestLoras, Sequence[nn.Module]] | None = None

    def use(
        self,
        experts: Mapping[str, nn.Module],
        loras: Sequence[Lora],
        options: LoraOptions = DEFAULTS,
        attached: Sequence[nn.Module] = (),
    ) -> RequestLoras:
        """As `RequestLoras`, at the strengths of step 0; whatever else was on is taken off first.

        The same adapters are those with the same files, unchanged on disk, strengths and filters.
        """
        modules = [*experts.values(), *attached]
        key = (tuple(experts), tuple(map(identity, loras)), options.mode, options.streaming, options.timing,
               options.allow_unmatched, options.widen, options.swapped)  # fmt: skip
        if self._kept is not None:
            kept_key, applied, kept_modules = self._kept
            same = len(modules) == len(kept_modules) and all(map(same_module, modules, kept_modules))
            if same and kept_key == key:
                applied.set_step(0)
                return applied
        self.drop()
        applied = RequestLoras(experts, loras, options, attached)
        self._kept = key, applied, modules
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


def same_module(one: nn.Module, other: nn.Module) -> bool:
    return one is other
