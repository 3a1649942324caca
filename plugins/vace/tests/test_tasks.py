"""Rules of the tasks that golden cases do not reach."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from wancore_vace.adapter import Guide, Guides
from wancore_vace.context import context_of, packed_mask, padded_front
from wancore_vace.family import sliced
from wancore_vace.prepare import PreparedContext, pixels
from wancore_vace.references import cut_out, side_by_side
from wancore_vace.source_video import fitted_size, frame_numbers
from wancore_vace.sources import Source, Wanted
from wancore_vace.strength import acts, strength_of
from wancore_vace.tasks import augment, extension, layout
from wancore_vace.tasks.composition import composed
from wancore_vace.tasks.pixels import Pair

from wancore.parity.fakes import FakeVae
from wancore.plugins.family import Carry, Window

VAE = FakeVae(matrix="fake_vae/proj", scale=1.0)


@given(st.integers(1, 300), st.integers(1, 81), st.sampled_from([8.0, 16.0, 24.0, 30.0, 59.94]))
def test_frames_are_spread_evenly(available, count, fps):
    numbers = frame_numbers(available, fps, count)
    assert len(numbers) == count and numbers[0] == 0 and numbers == sorted(numbers)
    assert max(numbers) == (available - 1 if count > 1 else 0)
    if count == available:
        assert numbers == list(range(available))


@given(st.integers(1, 400), st.integers(16, 2000), st.integers(16, 2000), st.sampled_from([399360, 921600]))
def test_sizes_fit_the_area(frames, height, width, area):
    size = fitted_size(frames, height, width, area)
    assert size.frames % 4 == 1 and size.frames <= max(frames, 1)
    assert size.height % 16 == 0 and size.width % 16 == 0
    assert size.height * size.width <= max(area, height * width)
    assert min(size.height, size.width) >= 16


def test_grey_is_exact_where_pixels_are_generated():
    """8-bit grey would be 0.004 off, and the latent of what is missing would not be that of nothing."""
    clip = np.random.default_rng(0).integers(0, 255, (2, 40, 56, 3), np.uint8)
    source = Source(extension.after(clip, 7), blank=True)
    frames, mask = pixels(source, Wanted(9, 32, 48), two_experts=False)
    assert frames.shape == (3, 9, 32, 48) and mask.shape == (1, 9, 32, 48)
    assert not frames[:, 2:].any() and bool((mask[:, 2:] == 1).all()) and not mask[:, :2].any()
    assert frames[:, :2].abs().max() > 0.5


def test_windows_take_over_what_came_before():
    frames, mask = torch.rand(3, 9, 16, 16), torch.ones(1, 9, 16, 16)
    carry = Carry(torch.rand(3, 9, 16, 16), torch.zeros(1))
    part = PreparedContext(frames, mask).part(Window(1, 4, 9, known=5), carry)
    assert torch.equal(part.frames[:, :5], carry.frames[:, -5:]) and not part.mask[:, :5].any()
    assert not part.frames[:, 5:].any() and bool((part.mask[:, 5:] == 1).all()), "beyond the end: generated"
    assert torch.equal(PreparedContext(frames, mask).part(Window(0, 0, 9), None).frames, frames)


def test_a_context_is_cut_behind_its_references():
    latents = torch.arange(5.0)[None, :, None, None].expand(96, 5, 2, 2)
    guides = sliced(Guides((Guide(latents),), head=2), [0, 2])
    assert guides.contexts[0].latents[0, :, 0, 0].tolist() == [0, 1, 2, 4] and guides.head == 2


def test_fewer_references_are_empty_in_front():
    video = torch.rand(3, 5, 32, 32)
    context = context_of(VAE, video, torch.ones_like(video[:1]), [torch.rand(3, 1, 32, 32)])
    padded = padded_front(context, 5)
    assert padded.shape == (96, 5, 4, 4) and not padded[:, :2].any()
    assert torch.equal(padded[:, 2:], context)


def test_the_mask_of_a_latent_pixel_is_all_its_pixels():
    mask = torch.rand(1, 9, 32, 48)
    packed = packed_mask(mask, 8, 3)
    assert packed.shape == (64, 3, 4, 6)
    assert torch.equal(packed[3 * 8 + 5, 1, 2, 4], mask[0, 4, 2 * 8 + 3, 4 * 8 + 5])


@pytest.mark.parametrize(("start", "end", "expected"), [(0, 1, 4), (0, 0, 1), (0.5, 1, 2), (0.25, 0.5, 2)])
def test_strength_in_a_range(start, end, expected):
    assert sum(acts(i, 4, start, end) for i in range(4)) == expected
    strength = strength_of(2.0, start, end, 4)
    assert sum(strength.at(i) == 2.0 for i in range(4)) == expected


def test_an_empty_mask_stays_empty():
    empty = np.zeros((16, 16), np.uint8)
    for shape in ("original", "hull", "box"):
        assert not augment.augmented(empty, shape, augment.Expansion()).any()


def test_looser_masks_hold_the_mask():
    mask = np.zeros((48, 64), np.uint8)
    mask[10:20, 10:30] = mask[25:30, 20:24] = 255
    hull, box = augment.augmented(mask, "hull"), augment.augmented(mask, "box")
    assert ((hull >= mask) & (box >= hull)).all() and hull.sum() > mask.sum()
    grown = augment.augmented(mask, "original", augment.Expansion(1.0, 2, (1, 1, 1, 1)))
    assert (grown >= mask).all() and grown.sum() > mask.sum()


def test_composition_keeps_what_both_keep():
    """Extension over control: the given frames stay, the others follow the control video."""
    clip, guide = (np.full((n, 4, 4, 3), v, np.uint8) for n, v in ((1, 50), (3, 200)))
    control = Pair(guide, np.full((3, 4, 4), 255, np.uint8))
    both = composed(extension.after(clip, 2), control, ("extension", "control"))
    assert both.frames[:, 0, 0, 0].tolist() == [50, 200, 200]
    assert both.masks[:, 0, 0].tolist() == [0, 255, 255]


def test_tracks_are_outlined():
    masks = np.zeros((2, 32, 32), np.uint8)
    masks[:, 8:24, 8:24] = 255
    drawn = layout.contours(masks, (255, 0, 0))
    assert drawn[0, 8, 16].tolist() == [255, 0, 0] and drawn[0, 16, 16].tolist() == [255, 255, 255]


def test_references_are_cut_out_and_joined():
    image, mask = torch.full((20, 30, 3), 9, dtype=torch.uint8), torch.zeros(20, 30, dtype=torch.uint8)
    mask[5:10, 10:16] = 255
    mask[9, 10] = 0
    cut = cut_out(image, mask)
    assert cut.shape == (5, 6, 3) and cut[0, 0].tolist() == [9, 9, 9] and cut[4, 0].tolist() == [255] * 3
    joined = side_by_side([image, torch.zeros(40, 40, 3, dtype=torch.uint8)])
    assert joined.shape == (20, 50, 3)
