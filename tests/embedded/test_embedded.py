"""The model that comes with the engine: what a request without a model gets, and that it shows something."""

from __future__ import annotations

import types
from pathlib import Path

import numpy as np
import pytest

from tools.tiny.corpus.drawn import drawn
from tools.tiny.score.prompts import Prompt, Wanted
from tools.tiny.score.vision import look
from wancore.embedded import OWN, EmbeddedModel, embedded_for
from wancore.engine import Engine
from wancore.errors import InvalidInput
from wancore.events import Frames
from wancore.media.png import write_png
from wancore.plugins import PluginManager, hookimpl
from wancore.request import parse_request
from wancore.runtime.settings import Settings

MOST_BYTES = 12_000_000


def made(fields: dict[str, object]) -> np.ndarray:
    engine = Engine(Settings(device="cpu"))
    events = engine.generate(parse_request(fields))
    return np.concatenate([event.frames for event in events if isinstance(event, Frames)])


def test_all_its_weights_are_small() -> None:
    assert sum(f.stat().st_size for f in OWN.folder.rglob("*") if f.is_file()) < MOST_BYTES


def test_a_prompt_alone_shows_what_it_says() -> None:
    frames = made({"prompt": "a red ball bounces on a green field", "steps": 6, "seed": 1})
    assert frames.shape == (33, 128, 128, 3)
    seen = look(frames)
    assert (seen.colour, seen.background) == ("red", "field")


def test_an_image_is_where_the_video_starts(tmp_path: Path) -> None:
    prompt = Prompt("a blue square moves to the right", Wanted("blue", "square", "right"), "")
    truth = drawn(prompt, 3, frames=17)
    write_png(tmp_path / "first.png", truth[0])
    inputs = {"image": str(tmp_path / "first.png")}
    frames = made({"prompt": prompt.text, "inputs": inputs, "frames": 17, "steps": 8, "seed": 2})
    error = ((frames[0].astype(float) - truth[0]) ** 2).mean()
    assert 10 * np.log10(255**2 / error) > 25
    assert look(frames).motion == "right"


def test_a_plugin_can_bring_a_model_for_its_family(tmp_path: Path) -> None:
    module = types.ModuleType("brings_a_model")
    module.WANCORE_API = (1, 1)
    module.wancore_models = hookimpl(specname="wancore_models")(
        lambda: [EmbeddedModel("other", tmp_path, "other")]
    )
    manager = PluginManager(enabled=())
    manager.register(module, "brings_a_model")
    assert embedded_for(manager, "other").folder == tmp_path
    assert embedded_for(manager, None) == embedded_for(manager, "wan") == OWN


def test_a_family_without_a_small_model_needs_one_named() -> None:
    with pytest.raises(InvalidInput, match="model: got None; accepted: a model of vace"):
        made({"family": "vace", "prompt": "a red ball"})


@pytest.mark.parametrize(("width", "height", "frames"), [(160, 96, 9)])
def test_sizes_and_lengths_can_be_chosen(width: int, height: int, frames: int) -> None:
    fields = {"prompt": "a green star", "size": f"{width}x{height}", "frames": frames, "steps": 2, "seed": 3}
    assert made(fields).shape == (frames, height, width, 3)
