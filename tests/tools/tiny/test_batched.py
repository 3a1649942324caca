"""The forwards of the training give what the product's own give."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tools.tiny.learn.batched import Text, velocity
from tools.tiny.learn.encoded import text_states
from tools.tiny.learn.sizes import fresh_text_encoder
from wancore.transformer.batch import predict_batch
from wancore.transformer.canvas import Canvas, Clock
from wancore.transformer.config import TransformerConfig
from wancore.transformer.layout import build_layout
from wancore.transformer.model import WanTransformer
from wancore.transformer.predict import EmbeddedText, Inputs


def scattered(module: nn.Module) -> None:
    for p in module.parameters():
        if p.ndim > 1:
            nn.init.normal_(p, std=0.1)


def test_the_batched_forward_is_the_models_own() -> None:
    torch.manual_seed(0)
    config = TransformerConfig(
        dim=32, ffn_dim=48, num_heads=2, num_layers=2, in_dim=4, out_dim=4, text_dim=8, text_len=20
    )
    model = WanTransformer(config)
    scattered(model)
    latents, states = torch.randn(2, 4, 3, 4, 6), torch.randn(2, 5, 8)
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 0, 0, 0, 0]])
    clocks = (None, Clock(torch.tensor([0, 1, 1]), torch.tensor([0.0, 1.0])))
    inputs = [
        Inputs(
            x,
            torch.tensor([700.0]),
            build_layout(Canvas(3, 2, 3), model.frequencies, clock),
            EmbeddedText.of(model, rows[kept.bool()]),
        )
        for x, rows, kept, clock in zip(latents, states, mask, clocks, strict=True)
    ]
    times = torch.tensor([[700.0, 700.0, 700.0], [0.0, 700.0, 700.0]])
    with torch.no_grad():
        wanted = torch.stack(predict_batch(model, inputs))
        found = velocity(model, latents, times, Text.of(states, mask, config.text_len))
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_the_text_forward_is_that_of_transformers() -> None:
    torch.manual_seed(0)
    stack = fresh_text_encoder(60).float().eval()
    scattered(stack)
    ids = torch.randint(3, 60, (2, 12))
    mask = torch.ones(2, 12)
    mask[1, 5:] = 0
    with torch.no_grad():
        wanted: Tensor = stack(input_ids=ids, attention_mask=mask).last_hidden_state
        found = text_states(stack, ids, mask)
    torch.testing.assert_close(found * mask[..., None], wanted * mask[..., None], atol=1e-5, rtol=1e-5)
