"""The adapters of one expert, and their values, kept for exactly as long as they are valid."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from wancore.errors import Conflict
from wancore.transformer.adapter import NO_VALUES, Adapter, Chain, Lifetime, Part, Pieces, Values
from wancore.transformer.context import Context
from wancore.transformer.layout import Layout

ONE_OWNER = ("attn_out", "text_set")  # points that replace a result instead of adding to it


@dataclass(frozen=True)
class Scope:
    """Which prediction this is: window, step and pass, and the variant each slot has in it."""

    window: Hashable = 0
    step: int = 0
    name: str = ""
    variants: Mapping[str, str] = field(default_factory=dict)

    def stamp(self, lifetime: Lifetime) -> tuple[object, ...]:
        """Equal stamps: a value with this lifetime is still valid."""
        match lifetime:
            case "request" | "expert":
                return ()
            case "window":
                return (self.window,)
            case "step":
                return self.window, self.step
            case "pass":
                return self.window, self.step, self.name


@dataclass(frozen=True)
class Bound:
    """What the adapters contribute to one prediction."""

    parts: Sequence[Sequence[Part]]
    chains: Sequence[Chain]


NOTHING_BOUND = Bound((), ())


@dataclass(frozen=True)
class Kept:
    """Values and what they were worked out for."""

    data: Any
    layout: Layout
    values: Sequence[Values] | None

    def serve(self, context: Context, frame_levels: bool) -> bool:
        """Same conditioning on the same grid; where values follow the levels, the same levels."""
        here = context.layout
        same_levels = not frame_levels or self.layout.level_frame is here.level_frame
        same_grid = self.layout.canvas == here.canvas and same_levels
        return self.data is context.data and same_grid


class Attached:
    """Adapters by slot name, attached to one model with `layers` blocks.

    They always act in the order of their names, so that the order of attachment cannot change a bit.
    Raises `Conflict` where two of them replace the same result.
    """

    def __init__(self, adapters: Mapping[str, Adapter], layers: int) -> None:
        self.adapters = dict(sorted(adapters.items()))
        self.pieces: dict[str, list[Pieces]] = {
            name: [adapter.pieces(i) for i in range(layers)] for name, adapter in self.adapters.items()
        }
        self.layers = layers
        self._kept: dict[str, tuple[object, dict[object, Kept]]] = {}
        self._check_owners()

    def _check_owners(self) -> None:
        for point in ONE_OWNER:
            owners = [n for n, blocks in self.pieces.items() if any(getattr(p, point) for p in blocks)]
            if len(owners) > 1:
                raise Conflict(f"the point {point}", *owners[:2])

    def frame_levels(self, slots: Collection[str]) -> bool:
        """Whether one of those adapters that take part has a shift for each clip frame."""
        return any(adapter.frame_levels for name, adapter in self.adapters.items() if name in slots)

    def bind(self, context: Context, data: Mapping[str, Any], scope: Scope) -> Bound:
        """Parts per block and hint chains of the adapters whose slot has `data` in this pass."""
        active = [name for name in self.adapters if name in data]
        if not active:
            return NOTHING_BOUND
        parts: list[list[Part]] = [[] for _ in range(self.layers)]
        chains = []
        for name in active:
            own = replace(context, data=data[name], step=scope.step)
            values = self._values(name, own, scope)
            for i, piece in enumerate(self.pieces[name]):
                parts[i].append(Part(piece, values[i] if values is not None else NO_VALUES))
            if (chain := self.adapters[name].chain(own, values)) is not None:
                chains.append(chain)
        return Bound(parts, chains)

    def _values(self, name: str, context: Context, scope: Scope) -> Sequence[Values] | None:
        adapter = self.adapters[name]
        stamp = scope.stamp(adapter.lifetime)
        kept_stamp, kept = self._kept.get(name, (None, {}))
        if kept_stamp != stamp:
            kept = {}
            self._kept[name] = (stamp, kept)
        key = tuple((slot, scope.variants.get(slot)) for slot in sorted({name, *adapter.depends}))
        if key not in kept or not kept[key].serve(context, adapter.frame_levels):
            kept[key] = Kept(context.data, context.layout, adapter.values(context))
        return kept[key].values

    def forget(self) -> None:
        """Drops every kept value: the request is over, or its weights changed."""
        self._kept.clear()
