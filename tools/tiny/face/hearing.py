"""The small wav2vec2 of the talking face, and the small image encoder beside it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tools.tiny.face.sound import FPS, draw_speech, opening
from wancore.encoders.audio import normalise_waveform
from wancore.encoders.build import levels

SECONDS = 4.0
BATCH = 12
RATE = 2e-3
WIDTH, LAYERS = 64, 2


def fresh_hearing() -> Any:
    """wav2vec 2.0 (arXiv:2006.11477) of the usual shape, 64 wide."""
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    config = Wav2Vec2Config(
        hidden_size=WIDTH, num_attention_heads=1, num_hidden_layers=LAYERS, intermediate_size=128,
        conv_dim=[32] * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4,
        hidden_dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, feat_proj_dropout=0.0,
        layerdrop=0.0, apply_spec_augment=False, mask_time_prob=0.0,
    )  # fmt: skip
    return Wav2Vec2Model(config)


def states(network: Any, waves: Tensor, frames: int) -> Tensor:
    """Normalised samples [B, S] -> the layers' states [B, frames, layers, width], as the product gives."""
    features = network.feature_extractor(waves)  # [B, C, t]
    features = F.interpolate(features, size=frames, mode="linear", align_corners=True).transpose(1, 2)
    projected, _ = network.feature_projection(features)
    encoder = network.encoder
    return torch.stack(levels(encoder.layers, lambda: encoder(projected).last_hidden_state)[1:], dim=2)


def train_hearing(
    seconds: float, device: torch.device, say: Callable[[str], None] = print, shrink: int = 1, seed: int = 1
) -> Any:
    """A network each of whose layers tells the opening of the mouth, and how it is about to change."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = fresh_hearing().to(device).train()
    head = nn.Linear(WIDTH, 2).to(device)
    weights = [*network.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=0.0, betas=(0.9, 0.98), weight_decay=0.01)
    frames, began, told, steps = round(SECONDS * FPS), time.monotonic(), 0.0, 0
    while (progress := (time.monotonic() - began) / seconds) < 1:
        sounds = [draw_speech(rng, SECONDS) for _ in range(max(BATCH // shrink, 1))]
        open_ = torch.from_numpy(np.stack([opening(s, frames) for s in sounds])).to(device)
        waves = torch.stack([normalise_waveform(torch.from_numpy(s)) for s in sounds]).to(device)
        wanted = torch.stack((open_, F.pad(open_[:, 1:] - open_[:, :-1], (0, 1))), dim=-1)
        found = head(states(network, waves, frames))  # [B, T, layers, 2]
        loss = (found - wanted[:, :, None]).square().mean()
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (steps + 1) / 100) * (1 - progress)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        if time.monotonic() - told > 20:
            told = time.monotonic()
            both = torch.stack((found[:, :, -1, 0].flatten(), open_.flatten()))
            say(
                f"hearing {told - began:5.0f} s, step {steps}: loss {float(loss.detach()):.4f}, "
                f"correlation {float(torch.corrcoef(both.detach())[0, 1]):.3f}"
            )
        steps += 1
    say(f"hearing: {steps} steps")
    return network.eval()
