"""`wancore generate --lora`."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.lora.adapters import low_rank, write
from wancore.checkpoints.layout import find_parts
from wancore.media.metadata import read_metadata
from wancore.transformer.load import load_transformer

SMALL = ("--prompt", "a red ball", "--size", "64x48", "--frames", 5, "--steps", 2, "--seed", 3)


@pytest.fixture
def lora(model, tmp_path):
    (tmp_path / "models" / "loras").mkdir(parents=True)
    base = load_transformer(find_parts(model).transformer)
    write(tmp_path / "models" / "loras" / "style.safetensors", low_rank(base, rank=4, scale=0.5))
    return ("--models", tmp_path / "models", "--model", model)


def test_by_name_with_a_strength_and_again(wancore, lora, tmp_path):
    plain = wancore("generate", *SMALL, *lora, "--out", "plain")
    assert plain.returncode == 0, plain.stderr
    done = wancore("generate", *SMALL, *lora, "--lora", "style:0.9", "--lora-timing", "--out", "styled")
    assert done.returncode == 0, done.stderr
    assert "LoRA style.safetensors: strength 0.9" in done.stderr and "merged (constant" in done.stderr
    assert "LoRA seconds" in done.stderr
    styled = pictures(tmp_path / "styled")
    assert not np.array_equal(styled, pictures(tmp_path / "plain"))
    made = read_metadata(tmp_path / "styled")
    assert made["request"]["loras"] == [{"name": "style", "strength": [0.9]}]
    again = wancore("generate", "--from", tmp_path / "styled", *lora[:2], "--out", "again")
    assert again.returncode == 0, again.stderr
    assert np.array_equal(pictures(tmp_path / "again"), styled)


def pictures(folder):
    return np.stack([np.asarray(Image.open(file)) for file in sorted(folder.glob("*.png"))])


@pytest.mark.parametrize(
    ("value", "message"),
    [("stile", "style"), ("style:speed=2", "NAME:STRENGTH"), ("style:strength=2000", "1000"), (":1", "NAME")],
)
def test_mistakes(value, message, wancore, lora):
    done = wancore("generate", *SMALL, *lora, "--lora", value, "--out", "a.mp4")
    assert done.returncode == 2 and message in done.stderr and done.stderr.strip().count("\n") == 0
