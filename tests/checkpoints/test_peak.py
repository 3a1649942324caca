"""What loading a checkpoint of 1 GB takes: anonymous and shared memory of a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkpoints.synthetic import wan_shapes, write_headers

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="memory is not told by kind here"
)

LOAD = """
import json, sys, threading, time
import torch
from wancore.transformer.load import load_transformer

def taken():
    lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return sum(int(lines[kind].split()[0]) * 1024 for kind in ("RssAnon", "RssShmem"))

def watch():
    while not done.wait(0.002):
        peak.append(taken())

torch.ones(64, 64) @ torch.ones(64, 64)
figures = {}
for path in sys.argv[1:]:
    before, peak, done = taken(), [0], threading.Event()
    thread = threading.Thread(target=watch)
    thread.start()
    model = load_transformer(path, dtype=torch.bfloat16)
    done.set()
    thread.join()
    figures[path] = [max(peak) - before, taken() - before]
    del model
print(json.dumps(figures))
"""


def quantised(shapes: dict[str, list[int]]) -> tuple[dict[str, list[int]], dict[str, str]]:
    """The block linears in fp8 with one scale each, the rest in half precision."""
    matrices = [
        n for n in shapes if n.startswith("blocks.") and n.endswith(".weight") and len(shapes[n]) == 2
    ]
    scales: dict[str, list[int]] = {name.removesuffix("weight") + "scale_weight": [] for name in matrices}
    dtypes = dict.fromkeys(shapes, "F16") | dict.fromkeys(matrices, "F8_E4M3")
    return {**shapes, **scales}, dtypes


def test_loading_takes_no_more_than_what_is_kept(tmp_path: Path) -> None:
    """Sparse files of zeros; pages of a mapped file are the page cache's, which gives them up at need."""
    wide, dtypes = quantised(wan_shapes(2048, 8192, 16))
    files = {
        "float": write_headers(tmp_path / "float.safetensors", wan_shapes(1024, 4096, 16), "F32"),
        "fp8": write_headers(tmp_path / "fp8.safetensors", wide, dtypes),
    }
    sizes = {name: path.stat().st_size for name, path in files.items()}
    assert all(1e9 < size < 1.3e9 for size in sizes.values())
    command = [sys.executable, "-c", LOAD, *map(str, files.values())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    peak, kept = figures[str(files["float"])]
    assert kept > 0.45 * sizes["float"], "half of the file, in bfloat16"
    assert peak < 0.5 * sizes["float"] + 0.1 * sizes["float"]
    peak, kept = figures[str(files["fp8"])]
    assert peak < 0.1 * sizes["fp8"], "what is quantised stays as it is in the file"
