"""`wancore doctor` on this machine, and a model's outlook within a budget."""

from __future__ import annotations

import json

import torch
from typer.testing import CliRunner

from wancore.cli.app import build

GPU = torch.cuda.is_available()


def run(*arguments: str) -> dict:
    result = CliRunner().invoke(build(), ["doctor", *arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_every_section_says_something(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANCORE_TF32", "off")
    found = run()
    assert list(found) == [
        "versions", "GPUs", "memory", "kernels", "attention", "switches", "settings", "plugins", "disk",
    ]  # fmt: skip
    assert all(found.values())
    assert found["versions"]["PyTorch"] == str(torch.__version__)
    assert found["settings"]["tf32"] == "off (WANCORE_TF32)"
    assert found["plugins"]["wan"].startswith("loaded, wancore-wan ")
    assert "free at" in found["disk"]["here"]
    if not GPU:
        assert found["attention"]["fa3"].startswith("runs on cuda, not on cpu (FlashAttention-3")
        assert found["attention"]["sdpa"].startswith("usable, exact, error ")
        assert found["attention"]["for self"] == "sdpa (the fastest here)"


def test_a_model_within_a_budget(model):
    model = str(model)
    roomy = run(model, "--vram", "20GB", "--size", "64x48", "--frames", "9")["model"]
    assert roomy["tokens"] == "36 in 64x48, 9 frames"
    assert "20.0 GB (vram = 20GB), all weights on the device" in roomy["transformer"]
    none = run(model, "--vram", "701MB", "--size", "64x48", "--frames", "9")["model"]
    assert "what would fit" in none["does not fit"]


def test_for_people():
    result = CliRunner().invoke(build(), ["doctor"])
    assert result.exit_code == 0 and "attention" in result.output and "FlashAttention-2" in result.output
