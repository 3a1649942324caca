"""The mask of given frames, and the channels beside the noise."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from wancore.plugins.image_channels import frames_mask, masked_latent


@given(st.data(), st.integers(1, 6))
def test_every_pixel_frame_has_its_place(data, latents):
    """Frame 0 is latent frame 0, four times over; frame 1 + 4k + i is channel i of latent frame 1 + k."""
    known = data.draw(
        st.lists(st.sampled_from((0.0, 1.0)), min_size=4 * latents - 3, max_size=4 * latents - 3)
    )
    mask = frames_mask(torch.tensor(known), 2, 3)
    assert mask.shape == (4, latents, 2, 3) and (mask == mask[..., :1, :1]).all()
    assert mask[:, 0, 0, 0].tolist() == [known[0]] * 4
    assert mask[:, 1:, 0, 0].T.flatten().tolist() == known[1:]


def test_the_mask_comes_first_and_has_the_latents_type():
    latent = torch.randn(16, 2, 2, 3, dtype=torch.bfloat16)
    channels = masked_latent(frames_mask(torch.ones(5), 2, 3), latent)
    assert channels.dtype == torch.bfloat16 and channels[:4].eq(1).all() and torch.equal(channels[4:], latent)
