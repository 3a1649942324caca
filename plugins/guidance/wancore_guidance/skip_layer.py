"""SLG: skip layer guidance (Stability-AI/sd3.5; for video as in arXiv:2411.18664)."""

from __future__ import annotations

from wancore.errors import InvalidInput
from wancore.sampling.guidance import within
from wancore.sampling.method import Call, Method, Run
from wancore_guidance.parameters import SkipLayerParameters


class SkipLayer(Method):
    """Leaves blocks out of every pass that does not carry the prompt, with all that is attached to them."""

    def __init__(self, parameters: SkipLayerParameters, run: Run) -> None:
        if not run.guidance.directions or run.guidance.passes.keys() <= run.main:
            raise InvalidInput("methods", "slg", "a guidance scale other than 1 together with slg")
        outside = [i for i in parameters.blocks if not 0 <= i < run.layers]
        if outside:
            raise InvalidInput("methods.slg.blocks", outside, f"block numbers from 0 to {run.layers - 1}")
        self.blocks, self.main = frozenset(parameters.blocks), run.main
        self.start, self.end = parameters.start, parameters.end

    def skip_blocks(self, call: Call) -> frozenset[int]:
        acting = call.name not in self.main and within(call.step, self.start, self.end)
        return self.blocks if acting else frozenset()
