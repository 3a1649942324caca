"""The plain model against the textbook."""

from __future__ import annotations

import pytest
import torch

from tests.transformer.models import relative, tiny
from tests.transformer.points import TIGHT, segment
from tests.transformer.scene import Scene
from wancore.transformer.canvas import Canvas, Clock


def scenes() -> dict[str, tuple[Scene, torch.Tensor | None]]:
    plain, per_frame = Scene(tiny()), Clock(torch.tensor([0, 1, 1, 2]))
    rows = torch.tensor([0, 1, 2, 0, 1, 2] * 2)
    both = (segment("silent", 3, 5, 0.0, False), segment("reading", 4, 6))
    return {
        "plain": (plain, None),
        "image": (Scene(tiny(image_dim=10), image_rows=5), None),
        "far": (Scene(tiny(), Canvas(2, 2, 3, origin=7)), None),
        "frames": (
            Scene(tiny(), Canvas(4, 2, 1), (900.0, 500.0, 3.0), per_frame),
            torch.tensor([900.0, 500, 500, 3]).repeat_interleave(2),
        ),
        "known": (
            Scene(tiny(), clock=Clock(torch.tensor([0, 1]), torch.tensor([0.0, 1]))),
            torch.tensor([0.0, 700]).repeat_interleave(6),
        ),
        "tokens": (
            Scene(tiny(), t=(900.0, 500.0, 3.0), clock=Clock(rows)),
            torch.tensor([900.0, 500, 3])[rows],
        ),
        "segments": (Scene(tiny(), segments=both), None),
        "three layers": (Scene(tiny(num_layers=3)), None),
        "skip": (Scene(tiny(num_layers=3), skip=(1,)), None),
    }


@pytest.mark.parametrize("name", scenes())
def test_the_model_is_the_textbook(name: str) -> None:
    scene, times = scenes()[name]
    assert relative(scene.predict(), scene.textbook(times=times)) < TIGHT


@torch.no_grad()
def test_the_known_frames_timestep_matters() -> None:
    scene, _ = scenes()["known"]
    assert relative(scene.predict(), Scene(scene.model).predict()) > 1e-2
