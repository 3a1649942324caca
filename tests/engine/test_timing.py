"""Where a generation's time goes."""

from __future__ import annotations

import pytest

from wancore.engine import timing
from wancore.engine.timing import Stages


def test_a_stage_inside_another_is_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, settled = iter(range(0, 100, 10)), []
    monkeypatch.setattr(timing, "perf_counter", lambda: next(clock))
    stages = Stages(lambda: settled.append(1))
    with stages("inputs"):
        with stages("text"):
            pass
        with stages("text"):
            pass
    assert stages.seconds == {"inputs": 30, "text": 20}
    assert len(settled) == 3


def test_time_of_a_stage_that_fails_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0, 4, 9, 9])
    monkeypatch.setattr(timing, "perf_counter", lambda: next(clock))
    stages = Stages()
    with pytest.raises(ValueError), stages("decoding"):
        raise ValueError
    assert stages.seconds == {"decoding": 4}
