"""One module's tensors of a LoRA file, put together into what they change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from wancore.errors import CheckpointError
from wancore.lora.deltas import Additive, Delta, Dora, Factor, Full, LoHa, LoKr, LowRank, Shape
from wancore.lora.keys import Key, Role


@dataclass(frozen=True)
class Part:
    """A change of one of the module's parameters: `leaf` is weight, bias or modulation."""

    leaf: str
    delta: Delta
    key: str


class Group:
    """The tensors of one module by their role. Every `CheckpointError` names the file and a key."""

    def __init__(
        self,
        path: Path,
        keys: Mapping[Role, Key],
        read: Callable[[str], Tensor],
        known_finite: set[str] | None = None,
    ) -> None:
        """`known_finite`: names of tensors whose values need no look any more; others are added."""
        self.path, self.keys = path, dict(keys)
        self._read, self._used = read, set[Role]()
        self._finite = set[str]() if known_finite is None else known_finite

    def parts(self, fallback: Callable[[int], float], original_norm: bool) -> Iterator[Part]:
        """All changes. `fallback`: the scale of a pair of some rank that has no alpha of its own;
        `original_norm`: see `Dora`. Raises `CheckpointError` for tensors that lack their partner."""
        alpha = self.alpha()
        if (additive := self.additive(alpha, fallback)) is not None:
            yield self.part("weight", self.with_magnitude(additive, original_norm), self.main_key())
        diffs: tuple[tuple[Role, str], ...] = (
            ("diff", "weight"), ("diff_b", "bias"), ("diff_m", "modulation"),
        )  # fmt: skip
        for role, leaf in diffs:
            if (values := self.take(role)) is not None:
                yield self.part(leaf, Full(values), self.keys[role].name)
        if (bias := self.take("up_bias")) is not None and isinstance(additive, LowRank):
            yield self.part("bias", Full(bias, additive.scale), self.keys["up_bias"].name)
        if left := [key.name for role, key in self.keys.items() if role not in self._used]:
            raise CheckpointError(self.path, "stands alone: what belongs to it is missing", left[0])

    def part(self, leaf: str, delta: Delta, key: str) -> Part:
        return Part(leaf, delta, key)

    def take(self, role: Role) -> Tensor | None:
        """The tensor of a role, checked to hold finite floats."""
        if role not in self.keys:
            return None
        name = self.keys[role].name
        tensor = self._read(name)
        if not tensor.is_floating_point():
            raise CheckpointError(self.path, f"holds {tensor.dtype}, not floats", name)
        if name not in self._finite:
            if not finite(tensor):
                raise CheckpointError(self.path, "holds infinite values or NaN", name)
            self._finite.add(name)
        if role != "alpha" and (tensor.ndim == 0 or tensor.numel() == 0):
            raise CheckpointError(self.path, f"has the impossible shape {list(tensor.shape)}", name)
        self._used.add(role)
        return tensor

    def alpha(self) -> float | None:
        tensor = self.take("alpha") if len(self.keys) > 1 else None
        if tensor is None:
            return None
        if tensor.numel() != 1:
            raise CheckpointError(self.path, f"has {tensor.numel()} values, not one", self.keys["alpha"].name)
        return float(tensor.item())

    def additive(self, alpha: float | None, fallback: Callable[[int], float]) -> Additive | None:
        """The low-rank, LoKr or LoHa change of the weight; None if there is none of these."""
        down, up = self.take("down"), self.take("up")
        if down is not None and up is not None:
            rank = len(down)
            return LowRank(down, up, fallback(rank) if alpha is None else alpha / rank)
        if down is not None or up is not None:
            present = self.keys["down" if up is None else "up"].name
            raise CheckpointError(self.path, f"has no {'up' if up is None else 'down'} matrix to it", present)
        lokr = self.lokr(alpha)
        return self.loha(alpha) if lokr is None else lokr

    def lokr(self, alpha: float | None) -> LoKr | None:
        w1 = self.factor("lokr_w1", "lokr_w1_a", "lokr_w1_b", None)
        w2 = self.factor("lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2")
        if w1 is None or w2 is None:
            self.refuse_half("lokr_")
            return None
        # With both factors whole, trainers write an arbitrary alpha that must not count.
        rank = w2.rank or w1.rank
        return LoKr(w1, w2, 1.0 if alpha is None or rank is None else alpha / rank)

    def loha(self, alpha: float | None) -> LoHa | None:
        w1 = self.factor(None, "hada_w1_a", "hada_w1_b", "hada_t1")
        w2 = self.factor(None, "hada_w2_a", "hada_w2_b", "hada_t2")
        if w1 is None or w2 is None:
            self.refuse_half("hada_")
            return None
        return LoHa(w1, w2, 1.0 if alpha is None or w1.rank is None else alpha / w1.rank)

    def refuse_half(self, start: str) -> None:
        """Raises `CheckpointError` if there is anything of a product that is not whole."""
        if present := [key.name for role, key in self.keys.items() if role.startswith(start)]:
            raise CheckpointError(self.path, "stands alone: what belongs to it is missing", present[0])

    def factor(self, whole: Role | None, a: Role, b: Role, core: Role | None) -> Factor | None:
        if whole is not None and (tensor := self.take(whole)) is not None:
            return Factor(tensor)
        if a not in self.keys or b not in self.keys:
            return None
        first, second = self.take(a), self.take(b)
        assert first is not None and second is not None
        return Factor(first, second, self.take(core) if core is not None else None)

    def with_magnitude(self, additive: Additive, original_norm: bool) -> Delta:
        """DoRA, where there is a magnitude. PEFT trains with the norm of W + D; for `dora_scale`, which
        several trainers write, it is the caller's choice."""
        if (magnitude := self.take("magnitude")) is not None:
            return Dora(additive, magnitude)
        if (magnitude := self.take("dora_scale")) is not None:
            return Dora(additive, magnitude, original_norm)
        return additive

    def main_key(self) -> str:
        order: tuple[Role, ...] = ("down", "lokr_w1", "lokr_w1_a", "hada_w1_a")
        return next(self.keys[role].name for role in order if role in self.keys)


def changed_shape(delta: Delta, shape: Shape) -> Shape:
    """The shape of a parameter of `shape` once changed: a convolution may be widened to a multiple of its
    input channels (control LoRAs), anything else keeps its shape."""
    if len(shape) < 3 or not isinstance(delta, LowRank | Full):
        return shape
    per_row = delta.down[0].numel() if isinstance(delta, LowRank) else delta.values[0].numel()
    kernel = torch.Size(shape[2:]).numel()
    times, rest = divmod(per_row, shape[1] * kernel)
    return shape if rest or times < 2 else (shape[0], shape[1] * times, *shape[2:])


def finite(tensor: Tensor) -> bool:
    """Whether all values are. Their sum tells it in one pass, unless it overflows itself."""
    return bool(tensor.sum(dtype=torch.float32).isfinite()) or bool(torch.isfinite(tensor.float()).all())
