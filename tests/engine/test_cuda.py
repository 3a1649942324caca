"""The whole way on a GPU, where there is one: every kind in float32 against the CPU, and in bfloat16."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.engine.test_kinds import KINDS
from tests.engine.tiny import Made, small
from wancore.engine import Engine
from wancore.runtime.settings import Settings

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture(autouse=True)
def full_float32():
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


@pytest.mark.parametrize("kind", KINDS)
def test_float32_agrees_with_the_cpu(kind, tiny, image):
    inputs = {role: image(role, 64, 48) for role in KINDS[kind]}
    size = {"size": "64x64"} if kind == "ti2v" else {}
    request = small(tiny(kind), inputs=inputs, **size)
    frames = [
        Made.of(Engine(Settings(device=device, dtype="float32")).generate(request)).frames.astype(int)
        for device in ("cpu", "cuda")
    ]
    assert np.abs(frames[0] - frames[1]).max() <= 2


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_runs(kind, tiny, image):
    inputs = {role: image(role, 64, 48) for role in KINDS[kind]}
    size = {"size": "64x64"} if kind == "ti2v" else {}
    request = small(tiny(kind), inputs=inputs, previews=True, **size)
    made = Made.of(Engine(Settings(device="cuda")).generate(request))
    assert made.frames.shape[0] == 9 and made.frames.std() > 1
