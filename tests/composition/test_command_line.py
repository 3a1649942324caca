"""Families together, from the command line."""

from __future__ import annotations

import numpy as np
from PIL import Image

QUICK = ("--size", "64x48", "--frames", 9, "--steps", 2, "--seed", 7, "--guidance", 3, "--quiet")


def test_attached_with_inputs_modules_and_a_lora(stage, wancore, tmp_path):
    """What the command line says is what the same request does."""
    files = stage.files
    done = wancore(
        "generate", "--prompt", "a red ball", *QUICK, "--out", "frames",
        "--model", stage.model, "--module", files["recammaster"], "--input", f"source_video={files['video']}",
        "--param", "camera=arc_left", "--attach", "vace:strength=0.5", "--module", f"vace={files['vace']}",
        "--input", f"vace/reference[0]={files['image']}", "--input", f"vace/reference[1]={files['portrait']}",
        "--lora", files["lora"],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    frames = np.stack([np.asarray(Image.open(f)) for f in sorted((tmp_path / "frames").glob("*.png"))])
    (use,) = stage.attach("references")
    expected = stage.frames(
        stage.recammaster(
            attachments=[{**use, "params": {"strength": 0.5}}], params={"camera": "arc_left"},
            loras=[{"name": str(files["lora"])}], solver=None, fps=None,
        )
    )  # fmt: skip
    assert np.array_equal(frames, expected)


def test_a_refusal_is_a_sentence(stage, wancore):
    """VACE attached to VACE."""
    vace = ("--family", "vace", "--module", stage.files["vace"], "--attach", "vace")
    done = wancore("generate", "--prompt", "a red ball", *QUICK, "--model", stage.model, *vace)
    assert done.returncode == 2 and "vace" in done.stderr and "once" in done.stderr
