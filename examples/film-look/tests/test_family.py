"""The look on a video, from the request to frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from film_look.steering import KEY
from safetensors.torch import load_file, save_file

from wancore.errors import CheckpointError, InvalidInput


def test_a_mood_changes_the_video(generate):
    plain, mild, strong, against = (
        generate(None if s is None else {"params": {"strength": s}}) for s in (None, 1, 4, -1)
    )
    assert np.array_equal(generate({"params": {"strength": 0}}), plain)
    assert not np.array_equal(mild, plain) and not np.array_equal(mild, against)

    def distance(video: np.ndarray) -> float:
        return float(np.abs(video.astype(int) - plain.astype(int)).mean())

    assert 0 < distance(mild) < distance(strong)


def test_a_table_changes_what_is_sent(generate, inverted):
    """The model's own frames, with the table's colours."""
    own = generate({})
    shown = generate({"inputs": {"table": inverted}})
    assert np.abs(shown.astype(int) - (255 - own.astype(int))).max() <= 1
    half = generate({"inputs": {"table": inverted}, "params": {"amount": 0.5}})
    assert np.abs(half.astype(int) - 127.5).max() <= 1.5


def test_the_solver_has_a_name(generate):
    assert not np.array_equal(generate(None, solver="ab2", steps=3), generate(None, solver="euler", steps=3))


@pytest.mark.parametrize(
    ("use", "field", "said"),
    [
        ({"params": {"strength": 11}}, "params.strength", "less than or equal to 10"),
        ({"params": {"mood": 1}}, "params.mood", "strength, amount"),
        ({"inputs": {"lut": "x.cube"}}, "inputs.lut", "table"),
        ({"inputs": {"table": "nowhere.cube"}}, "inputs.table", ".cube"),
    ],
)
def test_mistakes(generate, use, field, said):
    with pytest.raises(InvalidInput) as caught:
        generate(use)
    assert caught.value.field == field and said in str(caught.value)


def test_a_look_for_another_model(generate, look, tmp_path):
    other = tmp_path / "other.safetensors"
    save_file({KEY: torch.zeros(3, 8)}, other)
    with pytest.raises(CheckpointError, match="this model has 2 x 256"):
        generate({"modules": [str(other)]})


def test_it_cannot_lead(generate, look):
    with pytest.raises((InvalidInput, CheckpointError)):
        generate(None, family="film-look", modules=[str(look)])


def test_its_file_says_what_it_was_made_of(look):
    assert set(load_file(look)) == {KEY}
