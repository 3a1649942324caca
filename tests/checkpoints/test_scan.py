"""Listing a tree of models."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
from typer.testing import CliRunner

from tests.checkpoints.synthetic import wan_shapes, write_headers, write_raw
from wancore.checkpoints.claim import Claim
from wancore.checkpoints.inspect import Looked
from wancore.checkpoints.scan import scan
from wancore.checkpoints.view import FileView
from wancore.cli.app import build
from wancore.errors import CheckpointError


class Twin:
    """A family that has the keys of another."""

    id = "twin"

    def recognise(self, file: FileView) -> Claim | None:
        return Claim("base", "twin", alternatives=("other",)) if "twin.weight" in file else None


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
    found = {one.name: one for one in scan(tree(tmp_path), [])}
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
    assert found["loras/x.safetensors"].what == "a LoRA file on other layers (1 block)"
    assert found["sharded/m-00001-of-00002.safetensors"].what == "a whole transformer of wan"
    assert found["vae/Wan2.1_VAE.pth"].problems == (
        "not opened; `wancore convert` turns it into safetensors",
    )
    assert found["broken.safetensors"].what == "unreadable" and found["broken.safetensors"].problems


def test_ambiguous_keys_name_the_candidates_and_how_to_choose(tmp_path: Path) -> None:
    write_headers(tmp_path / "x.safetensors", {"twin.weight": [2]})
    (found,) = scan(tmp_path, [Twin()])
    assert found.family == "" and found.problems == (
        "does not tell its family: its keys fit twin, other; say which with --family",
    )


def test_the_command_lists_and_counts(tmp_path: Path) -> None:
    done = CliRunner().invoke(build(), ["models", str(tree(tmp_path))])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[-1] == "6 checkpoints"
    assert any(
        line.startswith("loras/x.safetensors: a LoRA file on other layers (1 block); ") for line in lines
    )
    done = CliRunner().invoke(build(), ["models", str(tmp_path), "--json"])
    assert '"name": "loras/x.safetensors"' in done.output


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such folder"):
        list(scan(tmp_path / "gone", []))


def many(root: Path, count: int) -> Path:
    """Of four architectures, each file with metadata of its own, and as many GGUF files of one."""
    for i in range(count):
        shapes = {f"blocks.{i % 4}.self_attn.q.lora_{part}.weight": [4, 4] for part in ("up", "down")}
        path = root / "loras" / f"{i:04d}.safetensors"
        write_headers(path, shapes, "BF16", {"number": "x" * i})
        (root / "unet").mkdir(exist_ok=True)
        writer = gguf.GGUFWriter(str(root / "unet" / f"{i:04d}.gguf"), f"wan {i}")
        writer.add_tensor("blocks.0.q.weight", np.zeros((2, 32), np.float32))
        for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file):
            step()
        writer.close()
    return root


def test_files_of_one_architecture_are_looked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What makes 5,000 files a matter of seconds: `python -m benchmarks.models_scan`."""
    looked: list[Path] = []
    of = Looked.of
    monkeypatch.setattr(Looked, "of", lambda view: looked.append(view.path) or of(view))
    found = list(scan(many(tmp_path, 60), [Twin()]))
    assert [one.name for one in found] == sorted(one.name for one in found) and len(found) == 120
    assert len(looked) == 5
    assert {one.what for one in found} == {"a LoRA file of rank 4 for width 4, on self-attention (1 block)",
                                           "unknown weights"}  # fmt: skip


def test_the_commands_need_no_torch(tmp_path: Path) -> None:
    """Importing it takes longer than listing thousands of files; with the plugins that are installed."""
    many(tree(tmp_path), 1)
    layer = "blocks.0.self_attn.q"
    shapes = {f"{layer}.weight": [4, 4], f"{layer}.weight_scale": [], f"{layer}.comfy_quant": [28]}
    dtypes = {f"{layer}.weight": "F8_E4M3", f"{layer}.comfy_quant": "U8"}
    described = write_headers(tmp_path / "described.safetensors", shapes, dtypes)
    with described.open("r+b") as file:
        file.seek(-28, 2)
        file.write(json.dumps({"format": "float8_e4m3fn"}).encode().ljust(28))
    code = (
        "import sys; from typer.testing import CliRunner; from wancore.cli.app import build\n"
        f"for name in ('models', 'inspect'): \\\n"
        f"    print(CliRunner().invoke(build(), [name, {str(tmp_path)!r}]).output)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "described.safetensors: unknown weights; " in done.stdout, done.stdout
    assert "ComfyUI float8_e4m3fn" in done.stdout
    assert done.stdout.endswith("False\n"), done.stdout
