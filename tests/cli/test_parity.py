"""`wancore parity` on cases that pass, fail, are unknown, or are none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from wancore.parity.seeded import load_case, save_case

CASE = Path(__file__).parents[1] / "golden" / "_vae"


@pytest.fixture
def case(tmp_path) -> Path:
    """A case of our own: the mean and spread of a prompt's weights need no model."""
    source = Path(__file__).parents[1] / "golden" / "_encoders" / "umt5_buckets.safetensors"
    return Path(shutil.copy(source, tmp_path / "case.safetensors"))


def changed(case: Path, name: str, **fields: object) -> None:
    meta, arrays = load_case(case)
    arrays = {k: v + 1 if k == name else v for k, v in arrays.items()}
    save_case(case, {**meta, **fields}, {k: np.asarray(v, arrays[k].dtype) for k, v in arrays.items()})


def test_pass(wancore, case):
    done = wancore("parity", case)
    assert done.returncode == 0
    first, last = done.stdout.splitlines()
    assert first.startswith("PASS _encoders/umt5_buckets case.safetensors max_abs=")
    assert last == "1 passed, 0 failed, 0 skipped"


def test_fail(wancore, case):
    changed(case, "out.bucket_by_offset")
    done = wancore("parity", case)
    assert done.returncode == 1 and done.stdout.startswith("FAIL") and "1 failed" in done.stdout


def test_family_that_is_not_installed(wancore, case):
    changed(case, "", family="someone")
    assert "SKIP someone/umt5_buckets" in wancore("parity", case).stdout
    assert wancore("parity", case).returncode == 1, "nothing passed"


def test_unknown_kind(wancore, case):
    changed(case, "", kind="unheard-of")
    assert wancore("parity", case).stdout.startswith("FAIL _encoders/unheard-of")


def test_strict(wancore, case, tmp_path):
    other = Path(shutil.copy(case, tmp_path / "other.safetensors"))
    changed(other, "", family="someone")
    assert wancore("parity", case, other).returncode == 0
    assert wancore("parity", case, other, "--strict").returncode == 1


def test_json(wancore, case):
    document = json.loads(wancore("parity", case, "--json").stdout)
    assert document["summary"] == {"passed": 1, "failed": 0, "skipped": 0}
    assert document["cases"][0]["status"] == "PASS"


def test_what_is_no_case(wancore, tmp_path):
    (tmp_path / "notes.safetensors").write_bytes(b"no")
    done = wancore("parity", tmp_path)
    assert done.returncode == 1 and done.stdout == "0 passed, 0 failed, 0 skipped\n"
    assert wancore("parity", tmp_path / "nothing").returncode == 2


def test_other_types_are_measured_beside_plain_pytorch(wancore, case):
    network = CASE.parent / "_encoders" / "clip_visual.safetensors"
    done = wancore("parity", network, case, "--dtype", "bfloat16")
    figures = dict(word.split("=") for word in done.stdout.splitlines()[0].split() if "=" in word)
    assert done.returncode == 0 and done.stdout.startswith("PASS _encoders/clip_visual")
    assert float(figures["plain"]) > 1e-4 and float(figures["rel"]) <= 3 * float(figures["plain"])
    assert "SKIP _encoders/umt5_buckets" in done.stdout


def test_places_that_do_not_exist(wancore, case):
    assert "accepted: float32, bfloat16, float16" in wancore("parity", case, "--dtype", "fp4").stderr
    assert "device" in wancore("parity", case, "--device", "nowhere").stderr
