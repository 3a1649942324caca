"""TeaCache (arXiv:2411.19108; ali-vilab/TeaCache, TeaCache4Wan2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from wancore.sampling.method import Call, Run
from wancore_caching.parameters import Rule, TeaCacheParameters
from wancore_caching.residual import ResidualCache
from wancore_caching.tables import Embedding

#: Steps that are always computed, at the beginning and at the end, by embedding.
KEPT_FIRST: dict[Embedding, int] = {"e": 1, "e0": 5}
KEPT_LAST: dict[Embedding, int] = {"e": 1, "e0": 0}


def relative_change(now: Tensor, before: Tensor) -> float:
    """mean |now - before| / mean |before| of the level [K, ...] that changed most.

    With one timestep there is one level; with known frames, theirs does not change.
    """
    change = (now - before).abs().flatten(1).mean(1) / before.abs().flatten(1).mean(1)
    return float(change.max())


@dataclass
class EmbeddingRule:
    """Skips while the rescaled changes of the embedding add up to less than the threshold.

    upstream: compares with the step before; steps outside first .. last are computed and reset the sum.
    wrapper: compares with the last computed step; acts on first .. last only and computes the first.
    """

    threshold: float
    polynomial: Sequence[float]
    embedding: Embedding
    first: int
    last: int
    rule: Rule
    reference: Tensor | None = None
    accumulated: float = 0.0

    def skips(self, step: int, e: Tensor, e0: Tensor, ready: bool) -> bool:
        embedding = e if self.embedding == "e" else e0
        acts = self.first <= step <= self.last
        if self.rule == "wrapper":
            return acts and self._small(embedding, self.reference if ready else None)
        reference, self.reference = self.reference, embedding
        if acts:
            return self._small(embedding, reference if ready else None)
        self.accumulated = 0.0
        return False

    def _small(self, embedding: Tensor, reference: Tensor | None) -> bool:
        if reference is not None:
            change = relative_change(embedding, reference)
            self.accumulated += float(np.polyval(self.polynomial, change))
            if self.threshold > 0 and self.accumulated < self.threshold:
                return True
        self.accumulated = 0.0
        self.reference = embedding
        return False


class TeaCache(ResidualCache):
    """Decides for every pass on its own."""

    def __init__(self, parameters: TeaCacheParameters, run: Run) -> None:
        embedding: Embedding = parameters.embedding if parameters.rescaled else "e0"
        first, last = parameters.start_step, parameters.end_step
        if parameters.rule == "wrapper":
            kept_first, kept_last = 1, 0
        else:
            kept_first, kept_last = KEPT_FIRST[embedding], KEPT_LAST[embedding]

        def rule(call: Call) -> EmbeddingRule:
            return EmbeddingRule(
                parameters.threshold,
                parameters.polynomial,
                embedding,
                kept_first if first is None else first,
                run.steps - 1 - kept_last if last is None else last,
                parameters.rule,
            )

        super().__init__(rule, parameters.offload)
