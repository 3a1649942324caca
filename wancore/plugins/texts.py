"""The two texts of classifier-free guidance."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from wancore.engine.tools import Tools
    from wancore.plugins.family import Lead
    from wancore.request import Request


def guided_texts(request: Request, lead: Lead, tools: Tools) -> dict[str, Tensor]:
    """Text encoder rows [n, C] of the prompt, "positive", and of the negative prompt, "negative"."""
    positive, negative = tools.text([request.prompt, lead.negative_prompt])
    return {"positive": positive, "negative": negative}
