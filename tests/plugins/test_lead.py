"""What a lead settles: the request, then the checkpoint, then the family."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wancore.checkpoints.defaults import ModelDefaults
from wancore.errors import InvalidInput
from wancore.plugins.family import Base, Lead
from wancore.plugins.lead import LeadDefaults, settled_lead, suited
from wancore.request import parse_request
from wancore.transformer.config import TransformerConfig

PUBLISHED = LeadDefaults(
    width=832, height=480, frames=81, fps=Fraction(16), steps=50, shift=5.0, guidance=(5.0,),
    negative_prompt="blurred", boundary=0.9,
)  # fmt: skip
OWN = ModelDefaults(
    width=128, height=96, frames=33, fps=12.5, steps=6, solver="euler", shift=2.0, guidance=(3.0,),
    negative_prompt="",
)  # fmt: skip
ASKED = {
    "size": "64x48", "frames": 5, "fps": 24, "steps": 2, "solver": "lcm", "shift": 1.0, "guidance": (1.0,),
    "negative_prompt": "loud",
}  # fmt: skip


def base(experts: tuple[str, ...] = ("",), defaults: ModelDefaults | None = None, stride: int = 8) -> Base:
    config = TransformerConfig(64, 64, 4, 1, 16, 16)
    return Base(config, experts, spatial_stride=stride, defaults=defaults or ModelDefaults())


def settled(on: Base | None = None, **fields: object) -> Lead:
    return settled_lead(parse_request(fields), on or base(), PUBLISHED)


def values(lead: Lead) -> tuple[object, ...]:
    return (
        (lead.width, lead.height), lead.frames, lead.fps, lead.steps, lead.solver, lead.shift,
        lead.guidance_scales, lead.negative_prompt,
    )  # fmt: skip


def test_the_request_is_before_the_checkpoint_and_that_before_the_family():
    own = base(defaults=OWN)
    published = ((832, 480), 81, 16, 50, "unipc", 5.0, (5.0,), "blurred")
    assert values(settled()) == published
    of_file = ((128, 96), 33, Fraction(25, 2), 6, "euler", 2.0, (3.0,), "")
    assert values(settled(own)) == of_file
    of_request = ((64, 48), 5, 24, 2, "lcm", 1.0, (1.0,), "loud")
    assert values(settled(own, **ASKED)) == of_request


@pytest.mark.parametrize("name", ASKED)
def test_each_field_is_settled_by_itself(name):
    asked, own = settled(base(defaults=OWN), **{name: ASKED[name]}), settled(base(defaults=OWN))
    assert sum(a != b for a, b in zip(values(asked), values(own), strict=True)) == 1


def test_given_levels_leave_no_steps_to_the_checkpoint():
    assert suited(parse_request({"sigmas": (1.0, 0.5, 0.0)}), OWN).steps is None


def test_one_scale_is_for_both_experts():
    two = base(("high", "low"))
    assert settled(two).guidance_scales == (5.0, 5.0) and settled(two).boundary == 0.9
    assert settled(two, guidance=(4.0, 3.0)).guidance_scales == (4.0, 3.0)
    assert settled().boundary is None


def test_what_the_family_has_settled_is_taken():
    lead = settled_lead(parse_request({}), base(), PUBLISHED, size=(160, 160), frames=162)
    assert (lead.width, lead.height, lead.frames) == (160, 160, 162)


@given(st.integers(16, 200), st.integers(16, 200), st.sampled_from((8, 16)))
def test_sizes_are_whole_tokens(width, height, stride):
    on, fits = base(stride=stride), width % (2 * stride) == height % (2 * stride) == 0
    if fits:
        assert settled(on, size=f"{width}x{height}").width == width
        return
    with pytest.raises(
        InvalidInput, match=f"size: got '{width}x{height}'; accepted: multiples of {2 * stride}"
    ):
        settled(on, size=f"{width}x{height}")


@given(st.integers(1, 200))
def test_lengths_are_whole_latent_frames(frames):
    if frames % 4 == 1:
        assert settled(frames=frames).frames == frames
        assert base().latent_frames(frames) == (frames + 3) // 4
        return
    with pytest.raises(InvalidInput, match=f"frames: got {frames}; accepted: 4n \\+ 1, for example 81"):
        settled(frames=frames)


def test_more_scales_than_experts():
    with pytest.raises(InvalidInput, match=r"guidance: .* accepted: one scale"):
        settled(guidance=(4.0, 3.0))


def test_the_canvas_of_a_clip():
    canvas = base().canvas(832, 480, 81, head=2, noise_frames=3)
    assert (canvas.frames, canvas.height, canvas.width) == (21, 30, 52)
    assert (canvas.head, canvas.noise_frames, canvas.total) == (2, 3, 23)
