import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from wancore_talking.buckets import BUCKETS, bucket
from wancore_talking.color import ColorMatch, to_lab, to_rgb
from wancore_talking.images import centre, covering, fitted
from wancore_talking.masks import default_boxes, latent_masks, speaker_masks
from wancore_talking.speakers import query_positions
from wancore_talking.stills import known_mask


@given(st.integers(16, 4000), st.integers(16, 4000), st.sampled_from([480, 720]))
def test_buckets(height, width, resolution):
    size = bucket(height, width, resolution)
    assert size in {(rows, columns) for _, rows, columns in BUCKETS[resolution]}
    assert size[0] % 16 == 0 and size[1] % 16 == 0


@pytest.mark.parametrize(("picture", "wanted"), [((512, 512), (640, 640)), ((1080, 1920), (448, 896))])
def test_known_buckets(picture, wanted):
    assert bucket(*picture, 480) == wanted


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 200), st.integers(1, 200))
def test_a_covering_picture_covers(height, width, rows, columns):
    scaled = covering(height, width, (rows, columns))
    assert scaled[0] >= rows and scaled[1] >= columns
    assert centre(torch.zeros(3, *scaled), (rows, columns)).shape == (3, rows, columns)


def test_pictures_keep_their_values():
    grey = torch.full((40, 60, 3), 255, dtype=torch.uint8)
    assert fitted(grey, (32, 48)).eq(1).all()


@given(st.integers(40, 200), st.integers(40, 200))
def test_speakers_without_boxes_have_half_each(height, width):
    masks = speaker_masks(default_boxes(height, width), height, width)
    assert masks.sum(0).eq(1).all(), "every pixel belongs to exactly one"
    assert not masks[0, :, width // 2 :].any() and not masks[1, :, : width // 2].any()
    assert set(latent_masks(masks, (64, 64), 8).unique().tolist()) <= {0.0, 1.0}


def test_positions_tell_the_speakers_apart():
    seen = torch.tensor([[0.9, 0.0, 0.1], [0.5, 0.2, 0.3], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])
    first, less, second, nobody = query_positions(seen).tolist()
    assert 0 <= less < first <= 4 and 20 <= second <= 24 and nobody == 12


@given(st.integers(0, 3), st.integers(3, 6))
def test_known_frames_are_marked_by_latents(known, latents):
    mask = known_mask(4 * known + 1, 4 * latents - 3, 1, 1)[..., 0, 0]
    assert mask.shape == (4, latents)
    assert mask[:, : known + 1].eq(1).all() and mask[:, known + 1 :].eq(0).all()


def test_colours_come_back():
    rgb = torch.rand(3, 2, 5, 7, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(to_rgb(to_lab(rgb)), rgb, atol=1e-4, rtol=0)


def test_lab_of_known_colours():
    """White, and pure red as published (Bruce Lindbloom's calculator, D65)."""
    lab = to_lab(torch.tensor([[1.0, 1.0], [1.0, 0.0], [1.0, 0.0]]))
    torch.testing.assert_close(lab[:, 0], torch.tensor([100.0, 0.0, 0.0]), atol=0.02, rtol=0)
    torch.testing.assert_close(lab[:, 1], torch.tensor([53.24, 80.09, 67.20]), atol=0.05, rtol=0)


def test_frames_take_the_colours_of_the_reference():
    generator = torch.Generator().manual_seed(2)
    reference = torch.rand(3, 16, 16, generator=generator) * 0.4
    frames = torch.rand(3, 4, 16, 16, generator=generator) * 0.4 - 0.5
    same = ColorMatch(reference, 1.0)(reference[:, None])
    torch.testing.assert_close(same, reference[:, None], atol=1e-4, rtol=0)
    matched = to_lab((ColorMatch(reference, 1.0)(frames) + 1) / 2)
    goal = to_lab((reference[:, None] + 1) / 2)
    torch.testing.assert_close(matched.mean((2, 3)), goal.mean((2, 3)).expand(3, 4), atol=0.5, rtol=0)
    torch.testing.assert_close(ColorMatch(reference, 0.0)(frames), frames, atol=1e-6, rtol=0)


def test_a_frame_of_one_colour_has_no_spread_to_scale():
    flat = torch.zeros(3, 1, 4, 4)
    assert ColorMatch(torch.rand(3, 4, 4), 1.0)(flat).isfinite().all()
