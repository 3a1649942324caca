"""Golden cases of the caches' decisions. Whole runs are in wancore-guidance's `tiny_run`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wancore.parity.case import Case
from wancore.sampling.guidance import classifier_free
from wancore.sampling.hooks import Step
from wancore.sampling.method import Call, Run
from wancore_caching.magcache import MagCache
from wancore_caching.parameters import MagCacheParameters, TeaCacheParameters
from wancore_caching.residual import ResidualCache
from wancore_caching.tables import magnitudes
from wancore_caching.teacache import TeaCache

PASSES = ("positive", "negative")


def run_of(experts: Mapping[str, int]) -> Run:
    steps = sum(experts.values())
    guidance = classifier_free(5.0)
    main = frozenset({"positive"})
    return Run(steps, 1, 1, main, guidance, lambda text: torch.empty(0), experts=experts)


def skip_table(cache: ResidualCache, run: Run, passes: Sequence[str], embeddings: Tensor) -> Tensor:
    """[steps, passes] int32, of a run whose blocks add 1; `embeddings` [steps, 1, D]."""
    names = [name for name, count in run.experts.items() for _ in range(count)]
    x = torch.zeros(1, 1)
    for i, e in enumerate(embeddings):
        step = Step(i, run.steps, 1.0, 0.0, 1000.0, x)
        for name in passes:
            cache.around_blocks(Call(step, name, 0, names[i]), lambda x: x + 1, x, e, e[:, None])
    table = torch.zeros(run.steps, len(passes), dtype=torch.int32)
    for (name, _, _), steps in cache.skipped.items():
        table[list(steps), passes.index(name)] = 1
    return table


def teacache_decisions(case: Case) -> Mapping[str, Tensor]:
    embeddings = case.inputs["e"]
    run = run_of({"": len(embeddings)})
    outputs = {}
    for n, chosen in enumerate(case.config["runs"]):
        cache = TeaCache(teacache_parameters(chosen), run)
        outputs[f"{n}.skip"] = skip_table(cache, run, PASSES[:1], embeddings)[:, 0]
    return outputs


def teacache_parameters(chosen: Mapping[str, Any]) -> TeaCacheParameters:
    """Cases give the upstream rule's end as the first step that is computed again."""
    upstream = chosen["mode"] == "upstream"
    rescaled = chosen.get("use_coefficients", True)
    return TeaCacheParameters.model_validate(
        {
            "threshold": chosen["thresh"],
            "coefficients": chosen["coefficients"] if rescaled else None,
            "rescaled": rescaled,
            "start_step": chosen["start"],
            "end_step": chosen["end"] - 1 if upstream else chosen["end"],
            "rule": "upstream" if upstream else "wrapper",
        }
    )


def magcache_tables(case: Case) -> Mapping[str, np.ndarray]:
    return {name: np.array(table.ratios, dtype=np.float32) for name, table in magnitudes().items()}


def magcache_decisions(case: Case) -> Mapping[str, Tensor]:
    outputs = {}
    for n, chosen in enumerate(case.config["runs"]):
        split, steps = chosen.get("split"), chosen["steps"]
        run = run_of({"": steps} if split is None else {"high": split, "low": steps - split})
        cache = MagCache(magcache_parameters(chosen), run)
        wrapper = chosen.get("wrapper", False)
        table = skip_table(cache, run, PASSES[: 1 if wrapper else 2], torch.zeros(steps, 1, 1))
        outputs[f"{n}.skip"] = table[:, 0] if wrapper else table
    return outputs


def magcache_parameters(chosen: Mapping[str, Any]) -> MagCacheParameters:
    common = {"table": chosen["table"], "threshold": chosen["thresh"], "longest": chosen["K"]}
    if chosen.get("wrapper"):
        ranged = {"start_step": chosen["start"], "end_step": chosen["end"], "rule": "wrapper"}
        return MagCacheParameters.model_validate({**common, **ranged})
    kept = {"retention": chosen["retention"], "experts": chosen.get("mode")}
    return MagCacheParameters.model_validate({**common, **kept})
