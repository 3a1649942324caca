"""Families together, from the command line."""

from __future__ import annotations

import subprocess

import numpy as np

from tests.cli.conftest import command

QUICK = (
    "--size",
    "64x48",
    "--frames",
    9,
    "--steps",
    2,
    "--seed",
    7,
    "--guidance",
    3,
    "--quiet",
    "--out",
    "-",
)


def generated(*arguments: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command("generate", "--prompt", "a red ball", *QUICK, *arguments), capture_output=True, timeout=120
    )


def test_attached_with_inputs_modules_and_a_lora(stage):
    """What the command line says is what the same request does."""
    files = stage.files
    done = generated(
        "--model", stage.model, "--module", files["recammaster"], "--input", f"source_video={files['video']}",
        "--param", "camera=arc_left", "--attach", "vace:strength=0.5", "--module", f"vace={files['vace']}",
        "--input", f"vace/reference[0]={files['image']}", "--input", f"vace/reference[1]={files['portrait']}",
        "--lora", files["lora"],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    frames = np.frombuffer(done.stdout, np.uint8).reshape(9, 48, 64, 3)
    (use,) = stage.attach("references")
    expected = stage.frames(
        stage.recammaster(
            attachments=[{**use, "params": {"strength": 0.5}}], params={"camera": "arc_left"},
            loras=[{"name": str(files["lora"])}], solver=None, fps=None,
        )
    )  # fmt: skip
    assert np.array_equal(frames, expected)


def test_a_refusal_is_a_sentence(stage):
    """VACE attached to VACE."""
    done = generated(
        "--model", stage.model, "--family", "vace", "--module", stage.files["vace"], "--attach", "vace"
    )
    assert done.returncode == 2 and b"vace" in done.stderr and b"once" in done.stderr
