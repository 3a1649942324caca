"""Training in bfloat16 with float32 copies of the weights, and their moving average."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor, nn

from tools.tiny.learn.muon import Muon


class Master:
    """Float32 weights behind a bfloat16 module: gradients go to them, steps come back rounded.

    `rounded`: names of weights that will be stored as float8 e4m3: the module computes with what that
    leaves of them, while the float32 weights go on learning. `orthogonal`: names of weights for Muon.
    """

    def __init__(
        self,
        modules: Sequence[nn.Module],
        rate: float,
        decay: float,
        rounded: Collection[str] = (),
        orthogonal: Collection[str] = (),
    ) -> None:
        named = [(name, p) for module in modules for name, p in module.named_parameters()]
        self.low = [p for _, p in named]
        self.high = [nn.Parameter(p.detach().float().clone()) for p in self.low]
        self.average = [p.detach().clone() for p in self.high]
        self.to_round = [i for i, (name, _) in enumerate(named) if name in rounded]
        self.gradients = [torch.zeros_like(p) for p in self.high]
        for p, gradient in zip(self.high, self.gradients, strict=True):
            p.grad = gradient
        self.rate, self.decay = rate, decay
        self.current_rate = torch.zeros((), device=self.high[0].device)
        self.rounding = torch.ones((), device=self.high[0].device)
        turned = [i for i, (name, _) in enumerate(named) if name in orthogonal]
        self.muon = Muon([self.high[i] for i in turned])
        self.adam = self.make_adam([p for i, p in enumerate(self.high) if i not in set(turned)])

    def make_adam(self, weights: Sequence[nn.Parameter]) -> torch.optim.AdamW:
        matrices, rest = [p for p in weights if p.ndim > 1], [p for p in weights if p.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": 0.02}, {"params": rest, "weight_decay": 0.0}]
        gpu = self.high[0].is_cuda
        rate = self.current_rate if gpu else 0.0
        return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.97), fused=gpu, capturable=gpu)

    def set_rounding(self, share: float) -> None:
        """How far weights are moved towards what storage leaves of them: 0 not at all, 1 all the way."""
        self.rounding.fill_(share)

    def set_rate(self, scale: float) -> None:
        """The learning rate of the steps from now on, as a factor on `rate`."""
        self.current_rate.fill_(self.rate * scale)
        if not self.current_rate.is_cuda:
            for group in self.adam.param_groups:
                group["lr"] = self.rate * scale

    @torch.no_grad()
    def step(self) -> None:
        """One update from the gradients of the module. On a GPU it waits for nothing and can be recorded."""
        for high, low in zip(self.gradients, self.low, strict=True):
            if low.grad is not None:
                high.copy_(low.grad)
        nn.utils.clip_grad_norm_(self.high, 1.0, foreach=True)
        self.adam.step()
        self.muon.step(self.current_rate)
        torch._foreach_lerp_(self.average, [p.detach() for p in self.high], 1 - self.decay)
        torch._foreach_copy_(list[Tensor](self.low), self.stored(self.high))

    @torch.no_grad()
    def stored(self, weights: Sequence[Tensor]) -> list[Tensor]:
        """`weights` as a checkpoint would keep them."""
        out = [w.detach() for w in weights]
        for i in self.to_round:
            out[i] = out[i].lerp(out[i].to(torch.float8_e4m3fn).float(), self.rounding)
        return out

    def forget_gradients(self) -> None:
        for low in self.low:
            low.grad = None

    @torch.no_grad()
    def use_average(self) -> None:
        """Puts the average into the module, as it would be stored, for evaluation."""
        share = float(self.rounding)
        self.set_rounding(1.0)
        torch._foreach_copy_(list[Tensor](self.low), self.stored(self.average))
        self.set_rounding(share)

    @torch.no_grad()
    def use_current(self) -> None:
        """Puts the current weights into the module, to go on with training."""
        torch._foreach_copy_(list[Tensor](self.low), self.stored(self.high))

    def state(self) -> dict[str, list[Tensor]]:
        """Current and averaged weights in half precision."""
        return {
            "high": [p.detach().half().cpu() for p in self.high],
            "average": [p.half().cpu() for p in self.average],
        }

    @torch.no_grad()
    def resume(self, state: Mapping[str, Sequence[Tensor]]) -> None:
        """Weights and average of an earlier run; the optimisers' moments start anew."""
        for mine, theirs in ((self.high, state["high"]), (self.average, state["average"])):
            for own, saved in zip(mine, theirs, strict=True):
                own.copy_(saved)
        torch._foreach_copy_(list[Tensor](self.low), self.stored(self.high))


def rate_at(progress: float, steps: int, warm: int = 200) -> float:
    """Factor on the learning rate: a warm-up in steps, then half a cosine over the time given."""
    return min(1.0, (steps + 1) / warm) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))


def held_rate_at(progress: float, steps: int, warm: int = 300, hold: float = 0.55) -> float:
    """The same with the full rate until `hold`, then straight down."""
    return min(1.0, (steps + 1) / warm) * max(min(1.0, (1 - progress) / (1 - hold)), 0.01)
