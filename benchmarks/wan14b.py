"""The 14B text-to-video transformer with random weights, and what one forward of it reads."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wancore.kernels.attention import Attention
from wancore.transformer.canvas import Canvas
from wancore.transformer.config import TransformerConfig
from wancore.transformer.fp8 import join_linears, use_fp8
from wancore.transformer.layout import build_layout
from wancore.transformer.model import WanTransformer
from wancore.transformer.predict import EmbeddedText, Inputs

CONFIG = TransformerConfig(dim=5120, ffn_dim=13824, num_heads=40, num_layers=40, in_dim=16, out_dim=16)


@dataclass(frozen=True)
class Size:
    """Of the video: latent frames, and its height and width in tokens."""

    name: str
    frames: int
    height: int
    width: int

    @property
    def tokens(self) -> int:
        return self.frames * self.height * self.width


SIZES = {"21504": Size("512x512x81", 21, 32, 32), "32760": Size("480x832x81", 21, 30, 52)}


@torch.no_grad()
def random_model(
    layers: int, dtype: torch.dtype = torch.bfloat16, fp8: bool = False, seed: int = 0
) -> WanTransformer:
    """On the GPU; block by block, so that only the result takes memory."""
    config = TransformerConfig(**{**CONFIG.__dict__, "num_layers": layers})
    with torch.device("meta"):
        model = WanTransformer(config, Attention())
    generator = torch.Generator("cuda").manual_seed(seed)
    model = model.to(dtype)
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            value = torch.empty(parameter.shape, dtype=dtype, device="cuda")
            if parameter.ndim > 1:
                value.normal_(0, parameter.shape[-1] ** -0.5, generator=generator)
            else:
                value.normal_(float(name == "weight"), 0.02, generator=generator)
            setattr(module, name, torch.nn.Parameter(value, requires_grad=False))
    if fp8:
        use_fp8(model, "cuda")
    join_linears(model)
    return model.eval()


@torch.no_grad()
def inputs_for(model: WanTransformer, size: Size) -> Inputs:
    canvas = Canvas(size.frames, size.height, size.width)
    layout = build_layout(canvas, model.frequencies, device="cuda")
    generator = torch.Generator("cuda").manual_seed(1)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, device="cuda", generator=generator)

    text = EmbeddedText.of(model, noise(512, CONFIG.text_dim).to(model.dtype))
    latents = noise(CONFIG.in_dim, size.frames, 2 * size.height, 2 * size.width)
    return Inputs(latents, torch.tensor([700.0], device="cuda"), layout, text)
