"""Latents to frames, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from wancore.engine.tools import VideoCodec
from wancore.plugins.family import DecodeSpan


def decode(vae: VideoCodec, latent: Tensor, spans: Sequence[DecodeSpan]) -> Iterator[Tensor]:
    """Frames [3, n, H, W] in [-1, 1] of each latent frame of the spans, in order, as soon as they exist."""
    stream = vae.decoder_stream()
    for span in spans:
        if span.fresh:
            stream = vae.decoder_stream()
        drop = span.drop
        for i in range(span.start, span.stop):
            frames = stream.push(latent[:, i : i + 1])
            kept = frames[:, drop:]
            drop = max(0, drop - frames.shape[1])
            if kept.shape[1]:
                yield kept
