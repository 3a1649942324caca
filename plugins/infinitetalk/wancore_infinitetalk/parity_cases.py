"""Golden cases of whole videos, and of the step cache on this transformer."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from wancore_caching.parameters import TeaCacheParameters
from wancore_caching.teacache import TeaCache
from wancore_talking.guidance import Scales, talking_guidance
from wancore_talking.parity_forward import SLOT, Loaded, speech_of
from wancore_talking.parity_loop import video

from wancore.parity import Case
from wancore.sampling.guided import Guided, Pass
from wancore.sampling.hooks import Step
from wancore.sampling.method import Run
from wancore_infinitetalk.family import InfiniteTalk

TABLES = {"480": "wan21_i2v_480p", "720": "wan21_i2v_720p"}
TEXTS = {"positive": "context", "negative": "context_null"}


def window_loop(case: Case) -> Mapping[str, Tensor]:
    return {"video": video(case, InfiniteTalk())}


@torch.no_grad()
def teacache(case: Case) -> Mapping[str, Tensor]:
    """Every pass of every step through the cache: whether it was computed, the mean of each channel."""
    loaded, inputs, speech = Loaded.of(case), case.inputs, speech_of(case)
    guidance = talking_guidance(Scales(5.0, 4.0), SLOT)
    times, names = inputs["timesteps"], list(guidance.passes)
    computed = torch.ones(len(times), len(names))
    means = torch.empty(len(times), len(names), len(inputs["x"]))

    def predict(x: Tensor, asked: Pass) -> Tensor:
        text = inputs[TEXTS[asked.variants["text"]]]
        t = times[asked.call.step.index][None]
        v = loaded.predict(x, t, text, asked.variants.get(SLOT, "on"), speech, asked.run)
        means[asked.call.step.index, names.index(asked.call.name)] = v.mean(dim=(1, 2, 3))
        return v

    run = Run(len(times), 1, 1, frozenset({"positive"}), guidance, lambda text: torch.empty(0))
    cache = TeaCache(parameters_of(case), run)
    velocity = Guided(predict, guidance, (cache,))
    for i, t in enumerate(times.tolist()):
        velocity(inputs["x"] * (1 - 0.01 * i), Step(i, len(times), t / 1000, 0.0, t, inputs["x"]))
    for (name, _, _), skipped in cache.skipped.items():
        computed[list(skipped), names.index(name)] = 0
    return {"computed": computed, "pred_channel_means": means}


def parameters_of(case: Case) -> TeaCacheParameters:
    table = TABLES[case.config["model_scale"].rpartition("-")[2]]
    embedding = "e0" if case.config["use_ret_steps"] else "e"
    fields = {"threshold": case.config["thresh"], "table": table, "embedding": embedding}
    return TeaCacheParameters.model_validate(fields)
