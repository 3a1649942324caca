"""NAG: normalized attention guidance (arXiv:2505.21179), in Wan's text attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from wancore.errors import InvalidInput
from wancore.kernels.attention import Attend
from wancore.sampling.method import Call, Method, Run
from wancore.transformer.adapter import Adapter, Pieces, Values
from wancore.transformer.context import Context
from wancore.transformer.keys import KeySet, read_all
from wancore_guidance.parameters import NormalizedAttentionParameters

SLOT = "nag"


def normalized_guidance(positive: Tensor, negative: Tensor, scale: float, tau: float, alpha: float) -> Tensor:
    """Attention outputs [m, D] of two texts -> the guided one, in float32.

    scale z+ - (scale - 1) z-, shortened where its L1 norm exceeds tau times that of z+, blended into
    z+ by alpha. Norms are over the whole width, all heads together.
    """
    positive, negative = positive.float(), negative.float()
    guided = scale * positive - (scale - 1) * negative
    norm, grown = positive.abs().sum(-1, keepdim=True), guided.abs().sum(-1, keepdim=True)
    excessive = torch.nan_to_num(grown / norm, nan=10.0) > tau
    guided = torch.where(excessive, guided * (tau * norm / (grown + 1e-7)), guided)
    return alpha * guided + (1 - alpha) * positive


class GuidedTextSet(nn.Module):
    """Reads the prompt and the text to avoid with the same queries."""

    def __init__(self, parameters: NormalizedAttentionParameters) -> None:
        super().__init__()
        self.scale, self.tau, self.alpha = parameters.scale, parameters.tau, parameters.alpha

    def forward(self, q: Tensor, sets: Sequence[KeySet], attend: Attend, avoided: KeySet) -> Tensor:
        """q [m, H, d] -> [m, H, d]."""
        positive, negative = read_all(q, sets, attend), read_all(q, (avoided,), attend)
        guided = normalized_guidance(
            positive.flatten(1), negative.flatten(1), self.scale, self.tau, self.alpha
        )
        return guided.view(q.shape).to(q.dtype)


class AvoidedText(Adapter):
    """Keys and values of the text to avoid, made by each block's own text attention. No weights."""

    lifetime = "expert"

    def __init__(self, parameters: NormalizedAttentionParameters) -> None:
        super().__init__()
        self.text_set = GuidedTextSet(parameters)

    def pieces(self, i: int) -> Pieces:
        return Pieces(text_set=self.text_set)

    def values(self, context: Context) -> list[Values]:
        """`context.data`: encoder rows [n, C] of the text."""
        embedded = context.model.embed_text(context.data.to(context.model.device))
        return [Values(data=block.text_keys(embedded).text[0]) for block in context.model.layers]


class NormalizedAttention(Method):
    """Guides the passes that carry the prompt, at every step."""

    def __init__(self, parameters: NormalizedAttentionParameters, run: Run) -> None:
        text = parameters.text or run.negative
        if not text:
            raise InvalidInput("methods.nag.text", text, "a text to avoid, here or as the negative prompt")
        self.parameters, self.main = parameters, run.main
        self.rows = run.encode(text)

    def adapters(self) -> Mapping[str, Adapter]:
        return {SLOT: AvoidedText(self.parameters)}

    def data(self, call: Call) -> Mapping[str, Any]:
        return {SLOT: self.rows} if call.name in self.main else {}
