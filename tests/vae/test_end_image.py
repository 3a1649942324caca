from __future__ import annotations

import pytest
import torch

from tests.vae.tiny import make_vae, noise
from wancore.errors import InvalidInput
from wancore.vae import decode_with_end, encode_with_end


def test_the_end_image_stands_alone() -> None:
    vae = make_vae("2.1")
    video, latent = noise(3, 6, 16, 8), noise(16, 3, 2, 1)
    encoded, decoded = encode_with_end(vae, video), decode_with_end(vae, latent)
    assert torch.equal(encoded[:, :2], vae.encode(video[:, :5]))
    assert torch.equal(encoded[:, 2:], vae.encode(video[:, 5:]))
    assert torch.equal(decoded[:, :5], vae.decode(latent[:, :2]))
    assert torch.equal(decoded[:, 5:], vae.decode(latent[:, 2:]))
    assert decode_with_end(vae, 10 * latent, clamp=False).abs().max() > 1


def test_there_must_be_a_clip_before_it() -> None:
    vae = make_vae("2.1")
    with pytest.raises(InvalidInput, match="2 or more"):
        decode_with_end(vae, noise(16, 1, 2, 2))
    with pytest.raises(InvalidInput, match="video"):
        encode_with_end(vae, noise(3, 1, 8, 8))
    with pytest.raises(InvalidInput, match=r"1 \+ 4k"):
        encode_with_end(vae, noise(3, 5, 8, 8))
