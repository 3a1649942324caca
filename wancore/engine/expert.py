"""A transformer, ready to predict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from wancore.engine.residency import House
from wancore.transformer.attached import Attached
from wancore.transformer.config import TransformerConfig
from wancore.transformer.model import WanTransformer
from wancore.transformer.predict import EmbeddedText, Inputs, predict
from wancore.transformer.rope import Frequencies


class Expert(Protocol):
    """One of the model's transformers (most models have one), with the request's adapters on it."""

    attached: Attached

    @property
    def device(self) -> torch.device: ...

    @property
    def model(self) -> WanTransformer:
        """The weights, for what families embed with them."""
        ...

    @property
    def frequencies(self) -> Frequencies:
        """Rotary speeds that the model was trained with."""
        ...

    def embed_text(self, text: Tensor | None, image: Tensor | None) -> EmbeddedText:
        """Text encoder rows [n, text_dim] and CLIP features [L, image_dim], as the blocks read them."""
        ...

    def predict(self, inputs: Inputs) -> Tensor:
        """Velocity [C, F, h, w] float32."""
        ...


@dataclass
class LoadedExpert:
    """The real thing: a loaded transformer. `house`: decides where its weights are."""

    model: WanTransformer
    attached: Attached = field(default_factory=lambda: Attached({}, 0))
    house: House | None = None

    def ready(self) -> LoadedExpert:
        """With its weights in their places, for what is computed with them beside predictions."""
        if self.house is not None:
            self.house.ready()
        return self

    @property
    def config(self) -> TransformerConfig:
        return self.model.config

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def frequencies(self) -> Frequencies:
        return self.model.frequencies

    def embed_text(self, text: Tensor | None, image: Tensor | None) -> EmbeddedText:
        device = self.device
        return EmbeddedText.of(
            self.model,
            text.to(device) if text is not None and self.config.text_dim else None,
            image.to(device) if image is not None and self.config.image_dim is not None else None,
        )

    def predict(self, inputs: Inputs) -> Tensor:
        def forward() -> Tensor:
            return predict(self.model, inputs, self.attached)

        return forward() if self.house is None else self.house.run(inputs.rows, forward)
