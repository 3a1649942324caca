"""A transformer, ready to predict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from wancore.engine.residency import House
from wancore.runtime.budget import MemoryPlan
from wancore.transformer.attached import Attached
from wancore.transformer.config import TransformerConfig
from wancore.transformer.graphs import Graphs
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
    """The real thing: a loaded transformer. `house`: decides where its weights are. `graphs`: whether
    forwards of small models may be replayed as CUDA graphs, which last as long as this object."""

    model: WanTransformer
    attached: Attached = field(default_factory=lambda: Attached({}, 0))
    house: House | None = None
    graphs: bool = False

    def __post_init__(self) -> None:
        self._graphs = Graphs(self.model, self._forward)
        self._plan: MemoryPlan | None = None

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
        device = self.ready().device
        return EmbeddedText.of(
            self.model,
            text.to(device) if text is not None and self.config.text_dim else None,
            image.to(device) if image is not None and self.config.image_dim is not None else None,
        )

    def predict(self, inputs: Inputs) -> Tensor:
        run = self._replayed if self.graphs else self._forward
        if self.house is None:
            return run(inputs)
        return self.house.run(inputs.rows, lambda: run(inputs))

    def _forward(self, inputs: Inputs) -> Tensor:
        return predict(self.model, inputs, self.attached)

    def _replayed(self, inputs: Inputs) -> Tensor:
        plan = None if self.house is None else self.house.plan
        if plan is not self._plan:  # the weights have been placed anew
            self._graphs.forget()
            self._plan = plan
        return self._graphs.predict(inputs)
