"""The residual stream between two sub-layers, whose last updates wait for the norm that reads their sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from wancore.kernels.codes import Codes
from wancore.kernels.junction import Affine, Form, Modulated, Update, junction
from wancore.transformer.levels import Levels
from wancore.transformer.rows import Rows


@dataclass(frozen=True)
class Residual:
    """`x` [S, D] plus `waiting` updates: adding them takes no trip through memory of its own when a norm
    follows, in this block or the next."""

    x: Tensor
    levels: Levels
    waiting: tuple[Update, ...] = ()

    def plus(self, update: Tensor, gate: Tensor | None = None) -> Residual:
        """`update` [m, D] of the first m rows; times `gate` [K, D] float32, where m is all rows."""
        return replace(self, waiting=(*self.waiting, Update(update, gate=gate)))

    def plus_rows(self, updates: Sequence[Rows]) -> Residual:
        added = (Update(u.tensor, u.start, strength=u.strength) for u in updates)
        return replace(self, waiting=(*self.waiting, *added))

    def normed(self, norm: Modulated | Affine, eps: float, form: Form) -> tuple[Residual, Tensor | Codes]:
        """The stream without anything waiting, and its norm."""
        x, n = junction(self.x, self.waiting, norm, self.levels, eps, form)
        assert n is not None
        return Residual(x, self.levels), n

    def settled(self) -> Residual:
        """The stream without anything waiting."""
        return Residual(self.value(), self.levels) if self.waiting else self

    def value(self) -> Tensor:
        """[S, D], with everything added."""
        return junction(self.x, self.waiting, levels=self.levels)[0]
