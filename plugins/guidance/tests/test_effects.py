"""Every method through a whole run: it acts, and does nothing where its settings say nothing."""

from dataclasses import replace

import pytest
import torch
from wancore_guidance.methods import METHODS
from wancore_guidance.normalized_attention import NormalizedAttention
from wancore_guidance.parameters import NormalizedAttentionParameters

from tests.sampling.tiny_run import TinyRun
from tests.transformer.models import tiny
from wancore.errors import Conflict, InvalidInput
from wancore.sampling.guidance import UNGUIDED, Direction, Guidance
from wancore.sampling.windows import WindowPlan

ACTING = {
    "cfg-zero-star": {},
    "tcfg": {},
    "raag": {},
    "fresca": {"cutoff": 1},
    "tsr": {},
    "slg": {"blocks": 1},
    "nag": {},
    "feta": {"weight": 20},
    "freenoise": {"size": 2, "overlap": 1},
    "freeinit": {"rounds": 2},
    "latent-shift": {"skip": 1},
    "riflex": {"index": 2},
    "ntk": {"h": 4, "w": 4},
    "reversed-time": {},
    "prompt-split": {"prompts": "a bird"},
}

NEUTRAL = {
    "cfg-zero-star": {"scaled": False, "zero_steps": 0},
    "fresca": {"low": 1, "high": 1},
    "tsr": {"k": 1},
    "slg": {"blocks": 1, "start": 0.9, "end": 0.95},
    "nag": {"alpha": 0},
    "feta": {"start": 0.95},
    "freenoise": {"size": 4, "overlap": 1},
    "freeinit": {"rounds": 1},
    "latent-shift": {"skip": 4},
    "ntk": {},
}


@pytest.fixture(scope="module")
def plain():
    return TinyRun().latent()


def difference(a, b):
    return float((a - b).abs().max() / b.abs().max())


def test_every_method_is_tried():
    assert ACTING.keys() == {spec.name for spec in METHODS}


@pytest.mark.parametrize("name", ACTING)
def test_a_method_changes_the_result(name, plain):
    changed = TinyRun({name: ACTING[name]}).latent()
    assert changed.isfinite().all()
    assert difference(changed, plain) > 1e-3


@pytest.mark.parametrize("name", NEUTRAL)
def test_neutral_settings_change_nothing(name, plain):
    assert difference(TinyRun({name: NEUTRAL[name]}).latent(), plain) < 1e-5


@pytest.mark.parametrize("name", sorted(ACTING.keys() - {"cfg-zero-star", "tcfg", "raag", "slg"}))
def test_methods_that_do_not_need_guidance_act_without(name):
    without = TinyRun(guidance=UNGUIDED).latent()
    assert difference(TinyRun({name: ACTING[name]}, UNGUIDED).latent(), without) > 1e-3


@pytest.mark.parametrize("name", ["cfg-zero-star", "tcfg", "raag", "slg"])
def test_methods_that_need_guidance_say_so(name):
    with pytest.raises(InvalidInput, match="guidance scale"):
        TinyRun({name: ACTING[name]}, UNGUIDED).made()


@pytest.mark.parametrize("name", ["cfg-zero-star", "tcfg"])
def test_methods_for_two_passes_refuse_three(name):
    directions = (Direction(2.0, "other", "negative"), Direction(4.0, "positive", "other"))
    three = Guidance("negative", directions, {"negative": {}, "other": {}, "positive": {}})
    with pytest.raises(InvalidInput, match="two passes"):
        TinyRun({name: {}}, three).made()


def test_the_order_of_the_request_does_not_matter():
    names = ["fresca", "raag", "cfg-zero-star", "tcfg", "tsr"]
    forwards = TinyRun({name: ACTING[name] for name in names}).latent()
    backwards = TinyRun({name: ACTING[name] for name in reversed(names)}).latent()
    assert torch.equal(forwards, backwards)


def test_only_one_method_replaces_the_text_attention():
    with pytest.raises(Conflict, match="the text attention"):
        TinyRun({"nag": {}, "prompt-split": ACTING["prompt-split"]}).made()


def test_methods_act_in_overlapping_windows():
    windows = WindowPlan("static_standard", 4, 2)
    plain = TinyRun(frames=6, windows=windows).latent()
    for name in ("slg", "nag", "feta", "cfg-zero-star", "latent-shift", "freenoise"):
        parameters = {} if name == "freenoise" else ACTING[name]
        assert difference(TinyRun({name: parameters}, frames=6, windows=windows).latent(), plain) > 1e-3


def test_slg_changes_no_step_outside_its_range():
    plain, late = TinyRun().latents(), TinyRun({"slg": {"blocks": 1, "start": 0.6}}).latents()
    assert all(torch.equal(a, b) for a, b in zip(plain[:3], late[:3], strict=True))
    assert not torch.equal(plain[3], late[3])


def test_zero_init_leaves_the_latent_where_it_is():
    run = TinyRun({"cfg-zero-star": {"scaled": False, "zero_steps": 2}}, steps=4)
    latents = run.latents()
    torch.testing.assert_close(latents[0], latents[1])
    assert difference(latents[2], latents[1]) > 1e-3


def test_freeinit_repeats_the_denoising():
    assert len(TinyRun({"freeinit": {"rounds": 3}}, steps=2).latents()) == 6


def test_a_reversed_clip_is_the_clip_of_the_reversed_noise():
    plain = TinyRun()
    backwards = TinyRun({"reversed-time": {}}).latents(start=plain.noise.flip(1))[-1]
    assert difference(backwards.flip(1), plain.latent()) < 1e-5


@pytest.mark.parametrize(
    ("name", "parameters", "field"),
    [
        ("slg", {"blocks": [1, 3]}, r"methods\.slg\.blocks"),
        ("riflex", {"index": 40}, r"methods\.riflex\.index"),
        ("freenoise", {}, r"methods\.freenoise\.size"),
        ("freenoise", {"size": 2, "overlap": 2}, r"methods\.freenoise\.overlap"),
        ("prompt-split", {"prompts": "a", "steps": 5}, r"methods\.prompt-split\.steps"),
    ],
)
def test_what_does_not_fit_the_run_is_refused(name, parameters, field):
    with pytest.raises(InvalidInput, match=field):
        TinyRun({name: parameters}).latent()


def test_nag_needs_a_text():
    with pytest.raises(InvalidInput, match=r"methods\.nag\.text"):
        NormalizedAttention(NormalizedAttentionParameters(), replace(TinyRun().about, negative=""))


def test_nag_reads_its_own_text_or_the_negative_prompt():
    negative = TinyRun({"nag": {}}).latent()
    assert torch.equal(negative, TinyRun({"nag": {"text": "the negative prompt"}}).latent())
    assert difference(TinyRun({"nag": {"text": "blurry, dark"}}).latent(), negative) > 1e-4


@pytest.mark.parametrize("name", ACTING)
def test_methods_act_where_the_model_is(name):
    """On the meta device, where any stray CPU tensor would fail."""
    run = TinyRun({name: ACTING[name]}, steps=2, model=tiny(num_layers=2).to("meta"))
    assert run.latents(start=run.noise.to("meta"))[-1].is_meta


def test_windows_are_fused_where_the_model_is():
    windows = WindowPlan("static_standard", 4, 2)
    run = TinyRun(steps=1, frames=6, windows=windows, model=tiny(num_layers=1).to("meta"))
    assert run.latents(start=run.noise.to("meta"))[-1].is_meta


@pytest.mark.parametrize("name", ["nag", "feta", "prompt-split", "slg"])
def test_methods_in_the_blocks_keep_the_type_of_the_model(name):
    exact = TinyRun({name: ACTING[name]}, steps=1)
    rough = replace(exact, model=tiny(num_layers=3).bfloat16())
    assert difference(rough.latent(), exact.latent()) < 0.05
