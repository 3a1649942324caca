"""How large each part of the shipped model is: 12 MB in all, and fast on two cores."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from wancore.transformer.config import TransformerConfig
from wancore.transformer.model import WanTransformer
from wancore.vae.architecture import Architecture, Half, Resample, Residual
from wancore.vae.layers import RMSNorm
from wancore.vae.network import VaeNetwork

if TYPE_CHECKING:
    from transformers import UMT5Config

TEXT_WIDTH = 128
LATENT_CHANNELS = 16

TRANSFORMER = TransformerConfig(
    dim=256, ffn_dim=640, num_heads=4, num_layers=6, in_dim=LATENT_CHANNELS, out_dim=LATENT_CHANNELS,
    freq_dim=128, text_dim=TEXT_WIDTH,
)  # fmt: skip

#: Wan 2.1's VAE pruned to width 32: 32 and 64 channels, few blocks; most of it in the decoder.
VAE = Architecture(
    encoder=Half(
        channels_in=3,
        width=32,
        body=(
            Residual(32, 32), Resample(32, 32, temporal=False),
            Residual(32, 32), Resample(32, 32, temporal=True),
            Residual(32, 64), Resample(64, 64, temporal=True),
        ),
        middle=64,
        head=64,
        channels_out=2 * LATENT_CHANNELS,
    ),
    decoder=Half(
        channels_in=LATENT_CHANNELS,
        width=64,
        body=(
            Residual(64, 64), Resample(64, 32, temporal=True),
            Residual(32, 64), Residual(64, 64), Resample(64, 32, temporal=True),
            Residual(32, 64), Residual(64, 64), Resample(64, 32, temporal=False),
            Residual(32, 32), Residual(32, 32),
        ),
        middle=64,
        head=32,
        channels_out=3,
    ),
    latent_channels=LATENT_CHANNELS,
    patch_size=1,
)  # fmt: skip


def text_config(vocabulary: int) -> UMT5Config:
    from transformers import UMT5Config

    return UMT5Config(
        vocab_size=vocabulary, d_model=TEXT_WIDTH, d_kv=32, d_ff=192, num_layers=2, num_heads=4,
        relative_attention_num_buckets=32, relative_attention_max_distance=128, dropout_rate=0.0,
        feed_forward_proj="gated-gelu",
    )  # fmt: skip


def fresh_vae() -> VaeNetwork:
    network = VaeNetwork(VAE)
    for module in network.modules():
        if isinstance(module, RMSNorm):
            nn.init.ones_(module.gamma)
    return network


def fresh_transformer() -> WanTransformer:
    return initialised(WanTransformer(TRANSFORMER))


def initialised(model: WanTransformer) -> WanTransformer:
    """Xavier linears, gates that start near zero, an output that starts at zero."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            module.bias.data.zero_()
    nn.init.xavier_uniform_(model.patch_embedding.weight.flatten(1))
    nn.init.zeros_(cast(Tensor, model.patch_embedding.bias))
    for layer in (model.time_embedding[0], model.time_embedding[2], model.text_embedding[0]):
        nn.init.normal_(cast(Tensor, layer.weight), std=0.02)
    nn.init.normal_(cast(Tensor, model.time_projection[1].weight), std=0.005)
    nn.init.zeros_(model.head.head.weight)
    with torch.no_grad():
        for block in model.layers:
            block.modulation[:, [2, 5]] += 0.2  # both gates
    return model


def fresh_text_encoder(vocabulary: int) -> nn.Module:
    """The encoder stack alone, as `wancore.encoders.umt5.Umt5` holds it."""
    from transformers import UMT5EncoderModel

    stack: nn.Module = UMT5EncoderModel(text_config(vocabulary)).encoder
    return stack
