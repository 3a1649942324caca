"""What holds for every test of the repository."""

from __future__ import annotations

import gc
import os

import hypothesis

# Before torch is imported: tests run beside each other, and their networks are too small to share out.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# How long an example takes says nothing on a machine that is busy with other tests.
hypothesis.settings.register_profile(
    "project", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile(
    "repeatable", hypothesis.settings.get_profile("project"), derandomize=True
)
hypothesis.settings.load_profile("project")


def pytest_collection_finish() -> None:
    """What is there by now stays to the end: collecting garbage, as generations do, need not look at it."""
    gc.collect()
    gc.freeze()
