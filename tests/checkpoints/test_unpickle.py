"""Pickle files to safetensors, whoever made them."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from wancore.checkpoints.unpickle import convert_pickle, problem_of, tensors_in
from wancore.cli.app import build
from wancore.errors import CheckpointError

STATE = OrderedDict(
    {
        "conv1.weight": torch.arange(24.0).reshape(2, 3, 4),
        "conv1.bias": torch.ones(3, dtype=torch.bfloat16),
        "steps": torch.tensor(7),
        "turned": torch.arange(6.0).reshape(2, 3).t(),
    }
)


def check(path: Path) -> None:
    written = load_file(path)
    assert {name: t.dtype for name, t in written.items()} == {name: t.dtype for name, t in STATE.items()}
    assert all(torch.equal(written[name], tensor) for name, tensor in STATE.items())


@pytest.mark.parametrize(
    "wrapped",
    [STATE, {"state_dict": STATE, "epoch": 3}, {"generator_ema": {"model": STATE}}, {"anything": STATE}],
    ids=["plain", "trainer", "nested", "single key"],
)
def test_state_dictionaries_are_found_in_their_wrappers(tmp_path: Path, wrapped: object) -> None:
    torch.save(wrapped, tmp_path / "x.pth")
    found = tensors_in(tmp_path / "x.pth")
    assert set(found) == set(STATE) and all(torch.equal(found[name], STATE[name]) for name in STATE)


def test_legacy_files_and_tied_tensors(tmp_path: Path) -> None:
    tied = {"a": STATE["conv1.weight"], "b": STATE["conv1.weight"]}
    torch.save(tied, tmp_path / "old.ckpt", _use_new_zipfile_serialization=False)
    convert_pickle(tmp_path / "old.ckpt", tmp_path / "x.safetensors")
    written = load_file(tmp_path / "x.safetensors")
    assert torch.equal(written["a"], tied["a"]) and torch.equal(written["b"], tied["b"])


class Runs:
    """Runs a command when unpickled by anything careless."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.proof}",)


def test_no_code_runs(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    torch.save({"a": Runs(proof)}, tmp_path / "x.pth")
    with pytest.raises(
        CheckpointError, match=r"holds more than tensors \((posix|nt)\.system\), which is not loaded"
    ):
        convert_pickle(tmp_path / "x.pth", tmp_path / "x.safetensors")
    assert not proof.exists() and [p.name for p in tmp_path.iterdir()] == ["x.pth"]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ([1, 2], "holds a list, not a dictionary of tensors"),
        ({"a": torch.ones(2), "b": 3}, 'holds "b": int, not a tensor'),
        ({1: torch.ones(2)}, 'holds "1": Tensor, not a tensor'),
        ({"a": torch.eye(3).to_sparse()}, 'holds "a", which is no ordinary tensor'),
    ],
)
def test_anything_but_tensors_by_name_is_refused(tmp_path: Path, value: object, problem: str) -> None:
    torch.save(value, tmp_path / "x.pth")
    with pytest.raises(ValueError) as error:
        tensors_in(tmp_path / "x.pth")
    assert problem_of(error.value) == problem


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs the limits of Linux")
def test_a_file_that_asks_for_more_memory_than_it_has_bytes_is_stopped(tmp_path: Path) -> None:
    """A few bytes of pickle that ask for a view of 2^40 elements, and a zip that unpacks to far more."""
    base = torch.ones(1)
    wide = base.expand(2**36)  # stride 0: saved as one element, written as 256 GB
    torch.save({"a": wide}, tmp_path / "x.pth")
    assert (tmp_path / "x.pth").stat().st_size < 10_000
    with pytest.raises(CheckpointError, match=r"more memory|cannot be (unpickled|written)"):
        convert_pickle(tmp_path / "x.pth", tmp_path / "x.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["x.pth"]


@pytest.mark.parametrize("damage", ["truncated", "garbage"])
def test_damaged_files_are_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "x.pth"
    torch.save(STATE, path)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-500])
    else:
        path.write_bytes(b"\x80\x02" + bytes(range(200)))
    with pytest.raises(CheckpointError, match=r"x\.pth"):
        convert_pickle(path, tmp_path / "x.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["x.pth"]


def test_the_command_converts_once_and_on_request_to_bf16(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "Wan2.1_VAE.pth")
    done = CliRunner().invoke(build(), ["convert", str(tmp_path / "Wan2.1_VAE.pth")])
    assert done.exit_code == 0, done.output
    check(tmp_path / "Wan2.1_VAE.safetensors")
    done = CliRunner().invoke(build(), ["convert", str(tmp_path / "Wan2.1_VAE.pth")])
    assert isinstance(done.exception, CheckpointError) and "is there already" in str(done.exception)
    done = CliRunner().invoke(build(), ["convert", str(tmp_path / "Wan2.1_VAE.pth"), "--to", "bf16"])
    written = load_file(tmp_path / "Wan2.1_VAE_bf16.safetensors")
    assert written["conv1.weight"].dtype == torch.bfloat16
    assert {p.name for p in tmp_path.iterdir()} == {
        "Wan2.1_VAE.pth",
        "Wan2.1_VAE.safetensors",
        "Wan2.1_VAE_bf16.safetensors",
    }
