"""How large each part of the talking face is: 4 MB in all, beside the VAE and the text encoder."""

from __future__ import annotations

import torch
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModel
from wancore_talking.adapter import Sizes, TalkingAdapter

from tools.tiny.face.hearing import LAYERS, WIDTH
from tools.tiny.learn.sizes import LATENT_CHANNELS, TEXT_WIDTH, initialised
from wancore.transformer.config import TransformerConfig
from wancore.transformer.model import WanTransformer

MASK_CHANNELS = 4
IMAGE_WIDTH = 80  # one head, as wide as those of the released encoder

TRANSFORMER = TransformerConfig(
    dim=192, ffn_dim=288, num_heads=3, num_layers=4, in_dim=2 * LATENT_CHANNELS + MASK_CHANNELS,
    out_dim=LATENT_CHANNELS, freq_dim=128, text_dim=TEXT_WIDTH, image_dim=IMAGE_WIDTH,
)  # fmt: skip
ADAPTER = Sizes(features=WIDTH * LAYERS, hidden=64, tokens=4, audio_dim=32)


def fresh_transformer() -> WanTransformer:
    return initialised(WanTransformer(TRANSFORMER))


def fresh_adapter() -> TalkingAdapter:
    """Its outputs start at zero."""
    adapter = TalkingAdapter(TRANSFORMER.dim, TRANSFORMER.num_heads, TRANSFORMER.num_layers, ADAPTER)
    for block in adapter.audio_blocks:
        nn.init.zeros_(block.audio_cross_attn.proj.weight)
        nn.init.zeros_(block.audio_cross_attn.proj.bias)
    return adapter


def fresh_image_encoder(seed: int = 3) -> CLIPVisionModel:
    """A CLIP of the usual shape that stays as it was drawn: what it sees is in the latents as well."""
    torch.manual_seed(seed)
    config = CLIPVisionConfig(
        hidden_size=IMAGE_WIDTH, intermediate_size=80, num_hidden_layers=2, num_attention_heads=1,
        image_size=56, patch_size=14, projection_dim=16, hidden_act="gelu",
    )  # fmt: skip
    tower: CLIPVisionModel = CLIPVisionModel(config)
    tower.requires_grad_(False)
    return tower
