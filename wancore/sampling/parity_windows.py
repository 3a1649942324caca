"""Golden-case kinds of overlapping windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wancore.parity.case import Case
from wancore.parity.kind import Kind

if TYPE_CHECKING:
    from torch import Tensor

    from wancore.sampling.fusion import WindowAt
    from wancore.sampling.hooks import Step
    from wancore.sampling.windows import WindowPlan

HERE = "wancore.sampling.parity_windows"

KINDS: tuple[Kind, ...] = (
    Kind("_guidance_and_caching", "windows", f"{HERE}:windows"),
    Kind("_guidance_and_caching", "window_fusion", f"{HERE}:window_fusion"),
)


def plan_of(run: Mapping[str, Any]) -> WindowPlan:
    from wancore.sampling.windows import WindowPlan

    return WindowPlan(run["schedule"], run["size"], run["overlap"], run["stride"], run["fuse"])


def windows(case: Case) -> Mapping[str, Tensor]:
    """The windows of one step, and how much their frames count."""
    import torch

    from wancore.sampling.fusion import window_weights
    from wancore.sampling.windows import scheduled

    outputs = {}
    for n, run in enumerate(case.config["runs"]):
        plan = plan_of(run)
        found = scheduled(plan, run["step"], run["frames"])
        weights = [window_weights(w, run["frames"], plan) for w in found]
        outputs[f"{n}.windows"] = padded([torch.tensor(w, dtype=torch.int32) for w in found], -1)
        outputs[f"{n}.weights"] = padded(weights, 0)
    return outputs


def padded(rows: Sequence[Tensor], value: int) -> Tensor:
    import torch

    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value)


def window_fusion(case: Case) -> Mapping[str, Tensor]:
    """A stand-in model (the case's notes give its formula) predicts window by window."""
    from wancore.sampling.fusion import Windowed
    from wancore.sampling.hooks import Step

    def predict(z: Tensor, step: Step, at: WindowAt) -> Tensor:
        return (1.3 * z).sin() + 0.5 * z.mean(dim=1, keepdim=True)

    x = case.inputs["x"]
    outputs = {}
    for n, run in enumerate(case.config["runs"]):
        step = Step(run["step"], run.get("steps", run["step"] + 1), 1.0, 0.0, 1000.0, x)
        outputs[str(n)] = Windowed(plan_of(run), x.shape[1], predict)(x, step)
    return outputs
