"""`wancore convert` on checkpoints that are read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from typer.testing import CliRunner

from tests.checkpoints.synthetic import wan_shapes
from wancore.checkpoints import open_view
from wancore.checkpoints.convert import convert
from wancore.checkpoints.layer_formats import found_formats
from wancore.cli.app import build
from wancore.errors import CheckpointError
from wancore.quant import Linear
from wancore.transformer.load import load_transformer

SHAPES = wan_shapes(dim=128, ffn=256, layers=2, text_dim=32)


def model(prefix: str = "") -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {prefix + k: torch.randn(v, generator=generator) / 10 for k, v in SHAPES.items()}


def saved(path: Path, prefix: str = "") -> dict[str, Tensor]:
    save_file(model(prefix), path)
    return model()


def test_to_bf16_under_upstream_names(tmp_path: Path) -> None:
    tensors = saved(tmp_path / "x.safetensors", "model.diffusion_model.")
    done = convert(open_view(tmp_path / "x.safetensors"), tmp_path / "y.safetensors", "bf16")
    written = load_file(tmp_path / "y.safetensors")
    assert set(written) == set(tensors) and (done.tensors, done.quantised) == (len(tensors), 0)
    for name, tensor in tensors.items():
        wide = sum(size > 1 for size in tensor.shape) > 1
        assert torch.equal(written[name], tensor.bfloat16() if wide else tensor), name
    assert 5e-4 < done.error < 4e-3 and done.worst is not None and done.worst.error < 5e-3


def test_to_fp8_with_channel_scales(tmp_path: Path) -> None:
    tensors = saved(tmp_path / "x.safetensors")
    done = convert(open_view(tmp_path / "x.safetensors"), tmp_path / "y.safetensors", "fp8")
    view = open_view(tmp_path / "y.safetensors")
    (format,) = found_formats(view)
    assert (format.scheme, format.layers) == ("fp8_channel", 2 * 10) and done.quantised == 20
    loaded = load_transformer(tmp_path / "y.safetensors", dtype=torch.bfloat16)
    assert isinstance(loaded.blocks[1].ffn[2], Linear)
    assert type(loaded.head.head) is torch.nn.Linear and type(loaded.text_embedding[0]) is torch.nn.Linear
    for name in ("blocks.0.self_attn.q.weight", "blocks.1.ffn.2.weight"):
        rows = tensors[name].abs().amax(1, keepdim=True)
        assert ((view.tensor(name) - tensors[name]).abs() <= rows / 448 * 32 / 2).all()  # half a step at 448
    assert 0.01 < done.error < 0.04
    raw = load_file(tmp_path / "y.safetensors")
    assert raw["blocks.0.self_attn.q.weight_scale"].shape == (128, 1)


def test_quantised_files_are_converted_too(tmp_path: Path) -> None:
    saved(tmp_path / "x.safetensors")
    convert(open_view(tmp_path / "x.safetensors"), tmp_path / "y.safetensors", "fp8")
    convert(open_view(tmp_path / "y.safetensors"), tmp_path / "z.safetensors", "bf16")
    name = "blocks.0.self_attn.q.weight"
    there = open_view(tmp_path / "y.safetensors").tensor(name)
    back = open_view(tmp_path / "z.safetensors")
    assert torch.equal(back.tensor(name), there.bfloat16()) and found_formats(back) == []


def test_other_files_keep_their_names(tmp_path: Path) -> None:
    tensors = {
        "encoder.conv1.weight": torch.randn(4, 3, 2),
        "conv2.bias": torch.randn(4),
        "count": torch.arange(3),
    }
    save_file(tensors, tmp_path / "x.safetensors")
    convert(open_view(tmp_path / "x.safetensors"), tmp_path / "y.safetensors", "fp8")
    written = load_file(tmp_path / "y.safetensors")
    assert {name: t.dtype for name, t in written.items()} == {
        "encoder.conv1.weight": torch.bfloat16,
        "conv2.bias": torch.float32,
        "count": torch.int64,
    }


def test_nothing_is_overwritten_and_nothing_left_of_a_failure(tmp_path: Path) -> None:
    saved(tmp_path / "x.safetensors")
    view = open_view(tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match="is there already, and is not overwritten"):
        convert(view, tmp_path / "x.safetensors", "bf16")
    (tmp_path / "x.safetensors").write_bytes((tmp_path / "x.safetensors").read_bytes()[:-8])
    with pytest.raises(CheckpointError, match="truncated"):
        convert(view, tmp_path / "y.safetensors", "bf16")
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]


def run(*arguments: object) -> str:
    done = CliRunner().invoke(build(), ["convert", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_the_command_prints_what_it_cost(tmp_path: Path) -> None:
    saved(tmp_path / "x.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"num_heads": 4}))
    (tmp_path / "out").mkdir()
    output = run(tmp_path / "x.safetensors", "--to", "fp8", "-o", tmp_path / "out" / "y.safetensors")
    assert re.search(
        r"20 of them in fp8.*\nrelative error \d\.\de-02 \(rms over \d+ tensors\), at worst", output
    )
    assert load_transformer(tmp_path / "out" / "y.safetensors").config.num_heads == 4
    assert (tmp_path / "x_bf16.safetensors").exists() is False
    run(tmp_path / "x.safetensors", "--to", "bf16")
    assert (tmp_path / "x_bf16.safetensors").exists()


def test_memory_stays_at_a_tensor_at_a_time(tmp_path: Path) -> None:
    """Peak of what the conversion allocates, for a file of many tensors."""
    import subprocess
    import sys

    tensors = {f"blocks.{i}.ffn.0.weight": torch.ones(512, 2048) for i in range(32)}  # 4 MB each
    save_file(tensors, tmp_path / "x.safetensors")
    script = (
        "import resource, sys; from pathlib import Path; from wancore.checkpoints.convert import convert\n"
        "from wancore.checkpoints import open_view; import torch\n"
        "def anonymous():\n"
        "    text = Path('/proc/self/status').read_text()\n"
        "    return int(text.split('RssAnon:')[1].split()[0]) * 1024\n"
        "import threading, time; peak = [0]; go = [True]\n"
        "def watch():\n"
        "    while go[0]: peak[0] = max(peak[0], anonymous()); time.sleep(0.002)\n"
        "view = open_view(sys.argv[1]); torch.ones(8).to(torch.float8_e4m3fn); before = anonymous()\n"
        "thread = threading.Thread(target=watch); thread.start()\n"
        "convert(view, Path(sys.argv[2]), 'fp8'); go[0] = False; thread.join()\n"
        "print(peak[0] - before)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "x.safetensors"), str(tmp_path / "y.safetensors")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert int(done.stdout) < 60_000_000  # of a file of 134 MB
