"""What an adapter may read when it works out its values for a prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from wancore.transformer.keys import TextKeys
from wancore.transformer.layout import Layout
from wancore.transformer.stream import Stream

if TYPE_CHECKING:
    from wancore.transformer.model import WanTransformer


@dataclass(frozen=True)
class Context:
    """One prediction, as its adapters see it.

    `latents` [C, F, h, w]: every base channel; `x` [n, D]: canvas tokens before block 0;
    `times` [K], `e` [K, D], `e0` [K, 6, D]; `text` [L, D] and `image` [L', D]: embedded;
    `data`: the adapter's own conditioning for this window, in the variant of this pass;
    `step`: index of the running step. Only what lives no longer than a step may depend on it.
    """

    model: WanTransformer
    layout: Layout
    stream: Stream
    latents: Tensor
    x: Tensor
    times: Tensor
    e: Tensor
    e0: Tensor
    text: Tensor | None
    image: Tensor | None
    keys: list[TextKeys]
    data: Any
    step: int = 0
