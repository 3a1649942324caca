"""Making the weights: what two prompts change in what each block's self-attention reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from film_look.steering import KEY
from wancore.engine import Engine
from wancore.errors import InvalidInput
from wancore.request import parse_request
from wancore.runtime.settings import load_settings
from wancore.transformer.adapter import Adapter, Pieces
from wancore.transformer.attached import Attached
from wancore.transformer.canvas import Canvas
from wancore.transformer.layout import build_layout
from wancore.transformer.model import WanTransformer
from wancore.transformer.predict import EmbeddedText, Inputs, predict

GRID = Canvas(frames=3, height=15, width=26)  # tokens: 9 frames of 416x240
TIMESTEP = 900.0  # early in the run, where the layout and the light are decided


class Ear(nn.Module):
    """Keeps the mean of what passes the point `tap` of one block."""

    def __init__(self, into: dict[int, Tensor], block: int) -> None:
        super().__init__()
        self.into, self.block = into, block

    def forward(self, n: Tensor, data: Any) -> None:
        self.into[self.block] = n.float().mean(0)


class Listener(Adapter):
    def __init__(self) -> None:
        super().__init__()
        self.heard: dict[int, Tensor] = {}

    def pieces(self, i: int) -> Pieces:
        return Pieces(tap=Ear(self.heard, i))


@torch.no_grad()
def mean_inputs(model: WanTransformer, text: Tensor, seed: int = 0) -> Tensor:
    """[blocks, D]: the mean modulated input of each block's self-attention, on noise, with this text."""
    canvas, listener = GRID, Listener()
    noise = torch.randn(
        model.config.in_dim, canvas.frames, 2 * canvas.height, 2 * canvas.width,
        generator=torch.Generator().manual_seed(seed),
    ).to(model.device)  # fmt: skip
    inputs = Inputs(
        noise,
        torch.tensor([TIMESTEP], device=model.device),
        build_layout(canvas, model.frequencies, device=model.device),
        EmbeddedText.of(model, text.to(model.device)),
        data={"listener": ()},
    )
    predict(model, inputs, Attached({"listener": listener}, model.config.num_layers))
    return torch.stack([listener.heard[i] for i in range(model.config.num_layers)])


def learn(model: str, before: str, after: str, out: Path, models: Path | None = None) -> Path:
    """Writes the look that leads from `before` to `after`. Raises `WancoreError`."""
    if out.suffix != ".safetensors":
        raise InvalidInput("out", str(out), "NAME.safetensors")
    engine = Engine(load_settings(models=models))
    plan = engine.plan(parse_request({"model": model, "prompt": after}))
    config = plan.base.transformer
    if len(plan.experts) != 1 or config.in_dim != config.out_dim:
        raise InvalidInput("model", model, "a text-to-video model with one transformer")
    parts = engine.models_for(plan.parts)
    plain, moody = parts.encode_text([before, after])
    (files,) = plan.experts.values()
    transformer = parts.expert(files, plan.families, plan.base).model
    directions = mean_inputs(transformer, moody) - mean_inputs(transformer, plain)
    save_file({KEY: directions.cpu().contiguous()}, out, {"before": before, "after": after})
    return out
