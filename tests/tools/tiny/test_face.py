"""The talking face's own pieces: what is trained is what the product runs, and mouths can be told."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from wancore_talking.adapter import Sizes, Speech, TalkingAdapter

from tools.tiny.face.forward import face_velocity
from tools.tiny.face.hearing import fresh_hearing, states
from tools.tiny.face.raster import render
from tools.tiny.face.scene import draw_face
from tools.tiny.face.seeing import correlation, mouth_areas
from tools.tiny.face.sound import FPS, RATE, draw_openings, draw_speech, opening
from tools.tiny.learn.batched import Text
from tools.tiny.learn.sampling import pixels
from wancore.encoders.wav2vec2 import Wav2Vec2Encoder
from wancore.transformer.attached import Attached, Scope
from wancore.transformer.canvas import Canvas
from wancore.transformer.config import TransformerConfig
from wancore.transformer.layout import build_layout
from wancore.transformer.model import WanTransformer
from wancore.transformer.predict import EmbeddedText, Inputs, predict


def scattered(module: nn.Module) -> None:
    for p in module.parameters():
        nn.init.normal_(p, std=0.15)


def test_the_batched_forward_is_that_of_transformer_and_adapter() -> None:
    torch.manual_seed(0)
    config = TransformerConfig(
        dim=32, ffn_dim=48, num_heads=2, num_layers=2, in_dim=12, out_dim=4, text_dim=8, text_len=20,
        image_dim=6,
    )  # fmt: skip
    model, adapter = WanTransformer(config), TalkingAdapter(32, 2, 2, Sizes(14, 16, 3, 8))
    scattered(model)
    scattered(adapter)
    channels, states = torch.randn(2, 12, 3, 4, 6), torch.randn(2, 5, 8)
    image, heard = torch.randn(2, 5, 6), torch.randn(2, 9, 5, 2, 7)
    layout = build_layout(Canvas(3, 2, 3), model.frequencies)
    attached, times = Attached({"audio": adapter}, 2), torch.tensor([700.0, 300.0])
    wanted = [
        predict(
            model,
            Inputs(
                channels[i], times[i : i + 1], layout, EmbeddedText.of(model, states[i], image[i]),
                data={"audio": Speech(heard[i : i + 1])}, scope=Scope(variants={"audio": "on"}),
            ),
            attached,
        )
        for i in range(2)
    ]  # fmt: skip
    text = Text.of(states, torch.ones(2, 5), config.text_len)
    found = face_velocity(model, adapter, channels, times, text, image, heard)
    torch.testing.assert_close(found, torch.stack(wanted), atol=1e-4, rtol=1e-4)


def test_the_hearing_is_that_of_the_product() -> None:
    torch.manual_seed(1)
    network, wave = fresh_hearing().eval(), torch.randn(8_000)
    with torch.no_grad():
        found = states(network, wave[None], 12)[0]
        wanted = Wav2Vec2Encoder(network)(wave, 12)[1:].transpose(0, 1)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


def test_a_mouth_opens_with_the_sound_around_it() -> None:
    samples = np.zeros(2 * RATE, np.float32)
    samples[RATE : RATE + RATE // 2] = np.sin(np.arange(RATE // 2) * 0.1)
    found = opening(samples, 2 * FPS)
    assert found[: FPS - 2].max() < 1e-6 and found[FPS + 3 : FPS + 9].min() > 0.5
    assert 0.1 < opening(draw_speech(np.random.default_rng(2), 4.0), 100).std() < 0.5


def test_the_opening_of_a_drawn_mouth_is_told_from_frames() -> None:
    rng = np.random.default_rng(3)
    openings = np.stack([draw_openings(rng, 17) for _ in range(3)])
    videos = pixels(render([draw_face(rng, 17) for _ in range(3)], torch.from_numpy(openings), 128))
    seen = [mouth_areas(video) for video in videos]
    assert min(correlation(a, b) for a, b in zip(seen, openings, strict=True)) > 0.97
