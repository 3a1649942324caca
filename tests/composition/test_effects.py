"""Each adapter alone and together with others, in every order, on tiny random weights."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest
import torch

from wancore.checkpoints.ownership import BASE
from wancore.engine.modules import ExpertFiles, split
from wancore.plugins.family import Base, Place
from wancore.transformer.load import load_transformer


def test_alone_and_together(stage):
    """Every set of adapters makes another video."""
    sets = [(), ("vace",), ("references",), ("audio",), ("wave",), ("vace", "audio"), ("references", "audio"),
            ("vace", "audio", "wave")]  # fmt: skip
    videos = {names: stage.frames(stage.request(*names)) for names in sets}
    assert all(video.shape == (9, 48, 64, 3) and video.std() > 1 for video in videos.values())
    for one, other in combinations(sets, 2):
        assert not np.array_equal(videos[one], videos[other]), (one, other)


@pytest.mark.parametrize("names", [("references", "audio", "wave"), ("vace", "wave", "ripple")])
def test_order_of_attachment(names, stage):
    """Not a bit changes."""
    first, *others = [stage.frames(stage.request(*order)) for order in permutations(names)]
    assert len(others) == 5
    assert all(np.array_equal(first, other) for other in others)


def test_a_lora_reaches_every_combination(stage):
    lora = {"loras": [{"name": str(stage.files["lora"])}]}
    for names in ((), ("vace",), ("audio",), ("vace", "audio")):
        with_lora, without = (stage.frames(stage.request(*names, **f)) for f in (lora, {}))
        assert not np.array_equal(with_lora, without), names


def test_a_lora_under_segments(stage):
    lora = {"loras": [{"name": str(stage.files["lora"])}]}
    assert not np.array_equal(
        stage.frames(stage.recammaster("vace", **lora)), stage.frames(stage.recammaster("vace"))
    )


def test_segments_under_hints(stage):
    """ReCamMaster leads: its source is a segment that VACE's chain does not see."""
    sets = [(), ("vace",), ("references",), ("audio",), ("references", "audio", "wave")]
    videos = [stage.frames(stage.recammaster(*names)) for names in sets]
    assert all(video.shape == (9, 48, 64, 3) for video in videos)
    assert not any(np.array_equal(a, b) for a, b in combinations(videos, 2))
    turned = stage.frames(stage.recammaster("references", params={"camera": "arc_left"}))
    assert not np.array_equal(turned, videos[2])


def test_order_of_attachment_under_segments(stage):
    orders = permutations(("references", "audio", "wave"))
    first, *others = [stage.frames(stage.recammaster(*order)) for order in orders]
    assert all(np.array_equal(first, other) for other in others)


@pytest.mark.parametrize("attached", ["vace", "references"])
def test_leading_and_attached_are_the_same_network(attached, stage):
    """VACE under the base family, VACE itself, and VACE in one file with its base."""
    (use,) = stage.attach(attached)
    leading = {"inputs": use["inputs"], "params": use.get("params", {})}
    beneath = stage.frames(stage.request(attached))
    leads = stage.frames(stage.request(modules=use["modules"], **leading))
    one_file = stage.frames(stage.request(attachments=[{**use, "modules": []}], model=stage.merged))
    assert np.array_equal(beneath, leads) and np.array_equal(beneath, one_file)


def test_audio_under_leading_references(stage):
    (use,) = stage.attach("references")
    leading = {"inputs": use["inputs"], "modules": use["modules"]}
    both = stage.frames(stage.request("audio", **leading))
    assert np.array_equal(both, stage.frames(stage.request("references", "audio")))


def test_known_frames_stay_behind_references(stage):
    """A lead's clamp and its clock keep their frames when an attachment puts others in front."""
    for names in ((), ("references",), ("references", "audio")):
        one, other = (stage.frames(stage.request(*names, family="keeping", seed=s)) for s in (1, 2))
        assert np.array_equal(one[0], other[0]), names
        assert not np.array_equal(one[1:], other[1:])


@pytest.mark.parametrize(("name", "count"), [("vace", 2 * 9 + 1), ("recammaster", 2)])
def test_linears_that_see_every_token_can_be_quantised(name, count, stage):
    """All of them, and no others: keys and values of the text, and a camera for each frame, see few rows."""
    family = stage.engine.families[name]
    file = stage.files[name]
    views = split(ExpertFiles(stage.model, ((name, file),)), (family,))
    base = Base(load_transformer(views[BASE]).config)
    adapter = family.adapter(base, views[name], Place(torch.device("cpu"), torch.float32))
    linears = [n for n, module in adapter.named_modules() if isinstance(module, torch.nn.Linear)]
    dense = [n for n in linears if adapter.dense.fullmatch(n)]
    assert len(dense) == count and "cam_encoder" not in " ".join(dense)
    assert not any(n.endswith(("cross_attn.k", "cross_attn.v")) for n in dense)
