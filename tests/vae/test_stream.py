from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vae.golden import case
from tests.vae.tiny import make_vae, noise
from wancore.errors import InvalidInput
from wancore.parity import Case
from wancore.vae.layers import CausalConv3d
from wancore.vae.load import load_vae
from wancore.vae.statistics import LatentStatistics
from wancore.vae.stream import DecoderStream

VERSIONS = ("2.1", "2.2")
FRAMES = st.lists(st.integers(1, 3), min_size=1, max_size=4)


@pytest.mark.parametrize("version", VERSIONS)
@settings(deadline=None, max_examples=8)
@given(sizes=FRAMES)
def test_decoding_does_not_depend_on_the_pushes(version: str, sizes: list[int]) -> None:
    vae = make_vae(version)
    latent = noise(16, sum(sizes), 2, 3)
    stream = vae.decoder_stream()
    parts = [stream.push(part) for part in latent.split(sizes, dim=1)]
    assert [part.shape[1] for part in parts] == [4 * n - (3 if i == 0 else 0) for i, n in enumerate(sizes)]
    assert torch.equal(torch.cat(parts, 1), vae.decode(latent))


@pytest.mark.parametrize("version", VERSIONS)
@settings(deadline=None, max_examples=8)
@given(sizes=FRAMES)
def test_encoding_does_not_depend_on_the_pushes(version: str, sizes: list[int]) -> None:
    vae = make_vae(version)
    counts = [4 * n - (3 if i == 0 else 0) for i, n in enumerate(sizes)]
    side = vae.spatial_stride
    video = noise(3, sum(counts), side, 2 * side)
    stream = vae.encoder_stream()
    parts = [stream.push(part) for part in video.split(counts, dim=1)]
    assert [part.shape[1] for part in parts] == sizes
    assert torch.equal(torch.cat(parts, 1), vae.encode(video))


@pytest.mark.parametrize("version", VERSIONS)
def test_several_frames_per_pass_give_the_same(version: str) -> None:
    vae = make_vae(version)
    latent = noise(16, 5, 2, 3)
    torch.testing.assert_close(vae.decoder_stream(step=3).push(latent), vae.decode(latent), rtol=0, atol=1e-5)


@pytest.mark.parametrize("version", VERSIONS)
def test_streams_on_one_network_do_not_mix(version: str) -> None:
    vae = make_vae(version)
    first, second = noise(16, 3, 2, 3, seed=1), noise(16, 3, 3, 2, seed=2)
    one, two = vae.decoder_stream(), vae.decoder_stream()
    turns = [
        (one.push(a[:, None]), two.push(b[:, None]))
        for a, b in zip(first.unbind(1), second.unbind(1), strict=True)
    ]
    assert torch.equal(torch.cat([a for a, _ in turns], 1), vae.decode(first))
    assert torch.equal(torch.cat([b for _, b in turns], 1), vae.decode(second))


def test_reset_begins_anew() -> None:
    vae = make_vae("2.1")
    latent, video = noise(16, 2, 2, 3), noise(3, 5, 8, 16)
    decoder, encoder = vae.decoder_stream(), vae.encoder_stream()
    for _ in range(2):
        assert torch.equal(decoder.push(latent), vae.decode(latent))
        assert torch.equal(encoder.push(video), vae.encode(video))
        decoder.reset()
        encoder.reset()


def test_frames_leave_before_the_last_latent_comes() -> None:
    vae = make_vae("2.1")
    done: list[int] = []
    stream = vae.decoder_stream()
    for frame in noise(16, 4, 2, 2).unbind(1):
        done.append(sum(done[-1:]) + stream.push(frame[:, None]).shape[1])
    assert done == [vae.pixel_frames(taken) for taken in (1, 2, 3, 4)] == [1, 5, 9, 13]


def test_steps_are_made_one_by_one() -> None:
    vae = make_vae("2.1")
    stream = vae.decoder_stream()
    steps = stream.steps(noise(16, 3, 2, 2))
    assert stream.history.first
    assert next(steps).shape[1] == 1
    slots = dict(stream.history.slots)
    assert next(steps).shape[1] == 4
    assert any(
        not torch.equal(slots[layer], slot) for layer, slot in stream.history.slots.items() if layer in slots
    )


@pytest.mark.parametrize(
    ("latent", "accepted"),
    [
        (torch.zeros(3, 2, 4, 4), r"\[16, frames"),
        (torch.zeros(16, 4, 4), r"\[16, frames"),
        (torch.zeros(16, 0, 4, 4), r"\[16, frames"),
        (torch.zeros(16, 1, 4, 4, dtype=torch.uint8), "floating point"),
    ],
)
def test_bad_latents_are_named(latent: torch.Tensor, accepted: str) -> None:
    with pytest.raises(InvalidInput, match=f"latent.*{accepted}"):
        make_vae("2.1").decoder_stream().push(latent)


def test_the_size_of_a_stream_is_fixed() -> None:
    vae = make_vae("2.1")
    decoder, encoder = vae.decoder_stream(), vae.encoder_stream()
    decoder.push(noise(16, 1, 2, 3))
    encoder.push(noise(3, 1, 16, 24))
    with pytest.raises(InvalidInput, match=r"latent.*\[2, 3\]"):
        decoder.push(noise(16, 1, 3, 2))
    with pytest.raises(InvalidInput, match=r"video.*\[16, 24\]"):
        encoder.push(noise(3, 4, 24, 16))


def test_broken_groups_of_frames_are_refused() -> None:
    stream = make_vae("2.1").encoder_stream()
    with pytest.raises(InvalidInput, match=r"1 \+ 4k frames"):
        stream.push(noise(3, 4, 8, 8))
    stream.push(noise(3, 1, 8, 8))
    with pytest.raises(InvalidInput, match="with 4k frames"):
        stream.push(noise(3, 5, 8, 8))


def test_step_is_checked() -> None:
    with pytest.raises(InvalidInput, match="step"):
        make_vae("2.1").decoder_stream(step=0)


@pytest.mark.parametrize("name", ["wan21_stream_1111", "wan22_stream_1111"])
def test_history_is_the_reference_cache(name: str) -> None:
    """Slot by slot, in execution order; a reference slot with fewer frames has zeros before them."""
    reference: Case = case(name)
    config = reference.config
    statistics = LatentStatistics(tuple(config["latents_mean"]), tuple(config["latents_std"]))
    with reference.checkpoint() as folder:
        stream = load_vae(folder, statistics=statistics).decoder_stream(step=max(config["chunks"]))
        for i, part in enumerate(reference.inputs["latent"].split(config["chunks"], dim=1)):
            stream.push(part)
            compare_slots(reference, i, stream)


def compare_slots(reference: Case, chunk: int, stream: DecoderStream) -> None:
    layers = [m for m in stream.network.decoder.modules() if isinstance(m, CausalConv3d)]
    frames = reference.arrays[f"mid.cache_frames{chunk}"]
    # A slot that only marks that the first frame has passed (-1) does not exist here.
    assert [layer in stream.history.slots for layer in layers] == (frames > 0).tolist()
    for number in reference.config["cache_slots"]:
        held = reference.arrays.get(f"mid.cache{number}_after{chunk}")
        if held is not None:
            slot = stream.history.slots[layers[number]][0].numpy()
            missing = slot.shape[1] - held.shape[1]
            np.testing.assert_allclose(slot[:, missing:], held, rtol=0, atol=1e-5)
            assert not slot[:, :missing].any()
