"""Learning a look from two prompts."""

from __future__ import annotations

import pytest
from film_look.learn import learn
from film_look.steering import KEY
from safetensors.torch import load_file
from typer.testing import CliRunner

from wancore.cli.app import build
from wancore.errors import InvalidInput
from wancore.testing import make_tiny


def test_the_first_block_has_not_read_the_text(look):
    directions = load_file(look)[KEY]
    assert directions.shape == (2, 256)
    assert directions[0].abs().max() == 0 and directions[1].abs().max() > 1e-4


def test_the_same_prompt_twice_leads_nowhere(model, tmp_path):
    assert load_file(learn(str(model), "a cat", "a cat", tmp_path / "x.safetensors"))[KEY].abs().max() == 0


def test_from_the_command_line(model, look, tmp_path):
    out = tmp_path / "again.safetensors"
    given = ["learn-look", "--model", str(model), "--before", "a street", "--after", "a street at night"]
    done = CliRunner().invoke(build(), [*given, "--out", str(out)], catch_exceptions=False)
    assert done.exit_code == 0 and load_file(out)[KEY].equal(load_file(look)[KEY])


def test_mistakes(model, tmp_path):
    with pytest.raises(InvalidInput, match="out"):
        learn(str(model), "a", "b", tmp_path / "look.bin")
    with pytest.raises(InvalidInput, match="one transformer"):
        learn(str(make_tiny("t2v-a14b", tmp_path / "two")), "a", "b", tmp_path / "x.safetensors")
