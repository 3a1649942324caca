"""The corpus keeps what it promises, and the vision code reads it."""

from __future__ import annotations

import numpy as np
import pytest

from tools.tiny.corpus.captions import caption
from tools.tiny.corpus.drawn import drawn
from tools.tiny.corpus.raster import render
from tools.tiny.corpus.scene import Frame, draw_scene
from tools.tiny.corpus.vocabulary import held_back
from tools.tiny.learn.words import Captions, trained_tokenizer
from tools.tiny.score.prompts import held_back_prompts
from tools.tiny.score.vision import look


def test_no_scene_holds_what_is_held_back() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        for thing in draw_scene(rng, Frame(1.0, 1.0), 2.0).things:
            assert not held_back(thing.colour, thing.shape, thing.motion)


def test_scored_prompts_are_all_held_back_and_all_different() -> None:
    prompts = held_back_prompts(200)
    assert len({p.text for p in prompts}) == 200
    assert all(held_back(p.wanted.colour, p.wanted.shape, p.wanted.motion) for p in prompts)


def test_things_stay_inside_the_frame() -> None:
    rng = np.random.default_rng(1)
    for size in ((128, 128), (96, 160), (160, 96)):
        frame = Frame.of(size[1], size[0])
        for _ in range(100):
            for thing in draw_scene(rng, frame, 2.0).things:
                for p in np.linspace(0, 1, 9):
                    (x, y), reach = thing.path.centre(p), 0.9 * thing.path.size(p)
                    assert reach <= x <= frame.width - reach or thing.motion == "bounce"
                    assert reach <= y <= frame.height - reach


def test_a_video_has_the_asked_shape_and_range() -> None:
    rng = np.random.default_rng(2)
    scenes = [draw_scene(rng, Frame.of(64, 48), 1.0) for _ in range(3)]
    video = render(scenes, 5, 48, 64)
    assert video.shape == (3, 3, 5, 48, 64)
    assert video.min() >= -1 and video.max() <= 1


@pytest.mark.parametrize("i", range(0, 240, 13))
def test_vision_reads_drawn_videos(i: int) -> None:
    prompt = held_back_prompts(240)[i]
    seen = look(drawn(prompt, i))
    assert (seen.colour, seen.shape, seen.motion) == (
        prompt.wanted.colour,
        prompt.wanted.shape,
        prompt.wanted.motion,
    )
    assert seen.background == prompt.background


def test_the_tokenizer_refuses_nothing() -> None:
    captions = Captions(trained_tokenizer())
    rng = np.random.default_rng(3)
    texts = [caption(rng, draw_scene(rng, Frame(1.0, 1.0), 2.0)) for _ in range(50)]
    ids, mask = captions([*texts, "", "Zebra 猫 🦓", "word " * 200])
    unknown = captions.tokenizer.token_to_id("<unk>")
    assert (ids != unknown).all()
    assert (ids.gather(1, mask.sum(1, keepdim=True) - 1) == captions.tokenizer.token_to_id("</s>")).all()
