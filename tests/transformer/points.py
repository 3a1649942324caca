"""What tests of single points share: one scene with segments, and the comparison with the textbook."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.transformer.adapters.single import Single
from tests.transformer.models import noise, relative, tiny
from tests.transformer.scene import Scene
from tests.transformer.textbook import Edit
from wancore.transformer.adapter import Adapter, Values
from wancore.transformer.canvas import Canvas, Segment
from wancore.transformer.plan import Memory
from wancore.transformer.rope import Frequencies, grid_positions

TIGHT = 2e-6  # float32 against float64


def segment(name: str, n: int, seed: int, t: float | None = None, text: bool = True) -> Segment:
    def rope(canvas: Canvas, frequencies: Frequencies) -> torch.Tensor:
        return frequencies.factors(grid_positions(n, 1, 1, (canvas.total, canvas.height, 0)))

    return Segment(name, noise(n, 48, seed=seed), rope, t, text)


SCENE = Scene(tiny(), segments=(segment("silent", 3, 5, 0.0, False), segment("reading", 4, 6)))
CANVAS, ROWS = 12, 19
MATRIX = [noise(48, 48, seed=20 + i) / 7 for i in range(2)]


def agree(
    adapters: dict[str, Adapter], edits: dict[str, Edit], scene: Scene = SCENE, **textbook: object
) -> None:
    """The adapters do what the edits do, and that is something."""
    got, wanted = scene.predict(adapters), scene.textbook(edits, **textbook)
    assert relative(got, wanted) < TIGHT
    assert relative(got, scene.textbook(**textbook)) > 1e-2


class Kept(dict[tuple[str, int], Tensor]):
    """What passed a place of a block, for edits further on."""

    def keep(self, place: str) -> Edit:
        def edit(i: int, value: Tensor) -> Tensor:
            self[place, i] = value
            return value

        return edit

    def keeping(self, *places: str) -> dict[str, Edit]:
        return {place: self.keep(place) for place in places}


def remembering(seed: int, n: int) -> tuple[Single, list[Memory]]:
    memories = [
        Memory(2 * noise(n, 2, 24, seed=seed + i), noise(n, 2, 24, seed=seed + 9 + i)) for i in range(2)
    ]
    return Single(values=lambda context: [Values(memory=m) for m in memories]), memories
