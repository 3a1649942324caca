"""Listing a tree of models."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

import wancore.checkpoints.scan as scanning
from tests.checkpoints.synthetic import wan_shapes, write_headers, write_raw
from wancore.checkpoints.claim import Claim
from wancore.checkpoints.scan import scan
from wancore.checkpoints.view import FileView
from wancore.cli.app import build
from wancore.errors import CheckpointError


class Twin:
    """A family that has the keys of another."""

    id = "twin"

    def recognise(self, file: FileView) -> Claim | None:
        return Claim("base", "twin", alternatives=("other",)) if "twin.weight" in file else None


def none() -> Sequence[Twin]:
    return []


def twins() -> Sequence[Twin]:
    return [Twin()]


def tree(root: Path) -> Path:
    shapes = wan_shapes(dim=128, ffn=256, layers=1, text_dim=32)
    write_headers(root / "diffusion_models" / "sub" / "t2v.safetensors", shapes, "BF16")
    fp8 = {"blocks.0.ffn.0.weight": "F8_E4M3"}
    write_headers(root / "diffusion_models" / "t2v_fp8.safetensors", shapes, fp8)
    for i in (1, 2):
        part = dict(list(shapes.items())[i - 1 :: 2])
        write_headers(root / "sharded" / f"m-0000{i}-of-00002.safetensors", part)
    write_headers(root / "loras" / "x.safetensors", {"blocks.0.q.lora_up.weight": [2, 2]})
    (root / "vae").mkdir()
    (root / "vae" / "Wan2.1_VAE.pth").write_bytes(b"PK\3\4" + bytes(100))
    write_raw(root / "broken.safetensors", b"not json")
    (root / "readme.txt").write_text("nothing")
    return root


def test_every_checkpoint_is_one_line(tmp_path: Path) -> None:
    found = {one.name: one for one in scan(tree(tmp_path), none)}
    assert list(found) == [
        "broken.safetensors",
        "diffusion_models/t2v_fp8.safetensors",
        "diffusion_models/sub/t2v.safetensors",
        "loras/x.safetensors",
        "sharded/m-00001-of-00002.safetensors",
        "vae/Wan2.1_VAE.pth",
    ]
    assert found["diffusion_models/sub/t2v.safetensors"].what == "a whole transformer of wan"
    assert found["diffusion_models/sub/t2v.safetensors"].formats == ("BF16",)
    assert found["diffusion_models/t2v_fp8.safetensors"].formats == ("plain fp8 e4m3",)
    assert found["loras/x.safetensors"].what == "a LoRA file"
    assert found["sharded/m-00001-of-00002.safetensors"].what == "a whole transformer of wan"
    assert found["vae/Wan2.1_VAE.pth"].problems == (
        "not opened; `wancore convert` turns it into safetensors",
    )
    assert found["broken.safetensors"].what == "unreadable" and found["broken.safetensors"].problems


def test_ambiguous_keys_name_the_candidates_and_how_to_choose(tmp_path: Path) -> None:
    write_headers(tmp_path / "x.safetensors", {"twin.weight": [2]})
    (found,) = scan(tmp_path, twins)
    assert found.family == "" and found.problems == (
        "does not tell its family: its keys fit twin, other; say which with --family",
    )


def test_the_command_lists_and_counts(tmp_path: Path) -> None:
    done = CliRunner().invoke(build(), ["models", str(tree(tmp_path))])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[-1] == "6 checkpoints"
    assert any(line.startswith("loras/x.safetensors: a LoRA file; ") for line in lines)
    done = CliRunner().invoke(build(), ["models", str(tmp_path), "--json"])
    assert '"name": "loras/x.safetensors"' in done.output


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such folder"):
        list(scan(tmp_path / "gone", none))


def many(root: Path, count: int) -> Path:
    for i in range(count):
        shapes = {f"blocks.{i % 4}.self_attn.q.lora_{part}.weight": [4, 4] for part in ("up", "down")}
        write_headers(root / "loras" / f"{i:04d}.safetensors", shapes)
    return root


def test_thousands_of_files_take_seconds(tmp_path: Path) -> None:
    """A tenth of 5,000 files in 5 s, with room for a busy machine."""
    many(tmp_path, 500)
    started = time.perf_counter()
    found = list(scan(tmp_path, none))
    assert time.perf_counter() - started < 3 * 0.5
    assert len(found) == 500 and {one.what for one in found} == {"a LoRA file"}


def test_many_files_are_looked_at_by_several_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "MANY", 100)
    monkeypatch.setattr(scanning.os, "cpu_count", lambda: 2)
    alone = [
        one.name
        for one in scanning.look_at_all(tmp_path, sorted(many(tmp_path, 120).rglob("*.safetensors")), none)
    ]
    assert [one.name for one in scan(tmp_path, none)] == alone
