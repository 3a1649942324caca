"""What all adapters together change of one parameter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wancore.lora.deltas import Additive, Delta, LowRank, Shape
from wancore.lora.read import Patch
from wancore.lora.slots import Slot


@dataclass(frozen=True)
class Term:
    """One adapter's change; `adapter` numbers the adapters of a request, `identity` tells files apart."""

    adapter: int
    identity: str
    delta: Delta
    shape: Shape


@dataclass(frozen=True)
class Change:
    """Everything that adapters change of `slot`.

    Additive terms are kept in the order of their identities, so that the order in which a user lists
    adapters cannot change a bit; with a term that is not additive, the user's order counts.
    """

    slot: Slot
    terms: tuple[Term, ...]

    @classmethod
    def of(cls, slot: Slot, terms: Sequence[Term]) -> Change:
        additive = all(isinstance(term.delta, Additive) for term in terms)
        return cls(slot, tuple(sorted(terms, key=lambda t: t.identity) if additive else terms))

    @property
    def shape(self) -> Shape:
        """Of the parameter once changed: the widest that a term asks for."""
        return max((term.shape for term in self.terms), key=lambda shape: torch.Size(shape).numel())

    @property
    def widens(self) -> bool:
        return self.shape != self.slot.shape

    @property
    def low_rank(self) -> bool:
        """Whether the whole change has a low-rank form."""
        return all(isinstance(term.delta, LowRank) for term in self.terms) and not self.widens

    @property
    def additive(self) -> bool:
        """Whether what is added does not depend on the weight."""
        return all(isinstance(term.delta, Additive) for term in self.terms)

    @property
    def adapters(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(term.adapter for term in self.terms))

    def strengths(self, by_adapter: Sequence[float]) -> tuple[float, ...]:
        """The strengths that concern this parameter, one for each term."""
        return tuple(by_adapter[term.adapter] for term in self.terms)

    def applied(self, weight: Tensor, by_adapter: Sequence[float]) -> Tensor:
        """`weight` (float32, left as it is) with every term; wider where a term asks for it. New input
        channels start at zero; a narrower term acts on the first channels."""
        if tuple(weight.shape) != self.shape:
            wide = weight.new_zeros(self.shape)
            wide[:, : weight.shape[1]] = weight
            weight = wide
        for term in self.terms:
            strength = by_adapter[term.adapter]
            if strength == 0:
                continue
            if term.shape == self.shape:
                weight = term.delta.applied(weight, strength)
            else:
                weight = weight.clone()
                narrow = weight[:, : term.shape[1]]
                narrow.copy_(term.delta.applied(narrow, strength))
        return weight

    def difference(self, by_adapter: Sequence[float], device: torch.device) -> Tensor:
        """What is added to the weight in all, float32 on `device`: exact for additive terms, and computed
        without the weight."""
        if self.additive:
            return self.applied(torch.zeros(self.shape, device=device), by_adapter)
        weight = self.slot.values_on(device)
        return self.applied(weight, by_adapter) - weight


def changes_of(slots: dict[str, Slot], patches: Sequence[tuple[int, str, Patch]]) -> dict[str, Change]:
    """The changes by parameter, in the order of names, from (adapter, its identity, patch)."""
    terms: dict[str, list[Term]] = {}
    for adapter, identity, patch in patches:
        terms.setdefault(patch.parameter, []).append(Term(adapter, identity, patch.delta, patch.shape))
    return {name: Change.of(slots[name], found) for name, found in sorted(terms.items())}
