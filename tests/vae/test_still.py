"""Clips that stand still after their first frames."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vae.tiny import make_vae, noise
from wancore.errors import InvalidInput
from wancore.vae.layers import CausalConv3d
from wancore.vae.vae import Vae

VERSIONS = ("2.1", "2.2")


def clip(vae: Vae, known: int, frames: int) -> torch.Tensor:
    side = vae.spatial_stride
    video = noise(3, frames, side, 2 * side)
    video[:, known:] = 0
    return video


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=8)
@given(known=st.integers(1, 26), groups=st.integers(0, 25), step=st.sampled_from([1, 2, 3]))
def test_latents_are_the_same(version: str, known: int, groups: int, step: int) -> None:
    vae = make_vae(version)
    video = clip(vae, known, 1 + 4 * groups)
    made = vae.encoder_stream(step=step, still_from=known).push(video)
    torch.testing.assert_close(made, vae.encoder_stream(step=step).push(video), rtol=0, atol=0)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_rests_is_not_computed(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first layer looks back two frames: after the picture and two passes it has seen all there is."""
    vae, passes = make_vae(version), []
    forward = CausalConv3d.forward

    def counted(self: CausalConv3d, x: torch.Tensor, history: object) -> torch.Tensor:
        if self is vae.network.encoder.conv1:
            passes.append(x.shape[2])
        return forward(self, x, history)  # type: ignore[arg-type]

    monkeypatch.setattr(CausalConv3d, "forward", counted)
    video = clip(vae, 1, 81)
    latent = vae.encode(video, still_from=1)
    assert passes == [1, 4, 4]
    monkeypatch.undo()
    torch.testing.assert_close(latent, vae.encode(video), rtol=0, atol=1e-5)


def test_a_clip_must_begin_with_something() -> None:
    with pytest.raises(InvalidInput, match="still_from"):
        make_vae("2.1").encoder_stream(still_from=0)
