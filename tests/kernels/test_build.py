"""Sources compile where there is a compiler, once; without one PyTorch computes, and says so once."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from wancore.kernels import build
from wancore.kernels.build import BuildError, architectures, library, target
from wancore.kernels.library import KernelLibrary
from wancore.kernels.sources import KERNELS, serves
from wancore.kernels.vae import LIBRARY as VAE

HOPPER = (9, 0)


def has_compiler() -> bool:
    try:
        build.compiler(), build.ninja()
    except BuildError:
        return False
    return True


needs_compiler = pytest.mark.skipif(not has_compiler(), reason="no nvcc here")

ONE = """\
#include "common.cuh"
__global__ void fill(float* out) { *out = 1; }
WANCORE_API int one(void* out, void* stream) {
    fill<<<1, 1, 0, static_cast<cudaStream_t>(stream)>>>(static_cast<float*>(out));
    return cudaGetLastError();
}
"""


@pytest.fixture
def own_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of sources and an empty cache."""
    folder = tmp_path / "a folder of sources"
    folder.mkdir()
    (folder / "common.cuh").write_text((build.SOURCES / "common.cuh").read_text())
    (folder / "one.cu").write_text(ONE)
    monkeypatch.setattr(build, "SOURCES", folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


@needs_compiler
@pytest.mark.parametrize("kernels", [KERNELS, VAE], ids=lambda kernels: kernels.name)
def test_every_source_compiles_and_has_the_functions_declared(
    kernels: KernelLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the user's own cache: only the first run after a change takes its time."""
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, "-DWANCORE_ONE_VARIANT"))
    symbols = subprocess.run(
        ["nm", "-D", str(library(kernels.name, kernels.sources, HOPPER))], capture_output=True, text=True
    ).stdout
    for name in kernels.functions:
        assert f" T {name}\n" in symbols


@needs_compiler
def test_a_build_is_kept_until_something_changes(own_sources: Path) -> None:
    first = library("own", ["one.cu"], HOPPER)
    stamp = first.stat().st_mtime_ns
    assert library("own", ["one.cu"], HOPPER) == first and first.stat().st_mtime_ns == stamp
    (own_sources / "one.cu").write_text("#error no\n" + ONE)
    with pytest.raises(BuildError, match="#error"):
        library("own", ["one.cu"], HOPPER)
    left = sorted(p.name for p in first.parent.parent.iterdir() if p.is_dir())
    assert left == [first.parent.name]  # a failed build leaves nothing behind


@needs_compiler
def test_processes_that_need_it_at_once_all_get_it(own_sources: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from wancore.kernels import build;"
        "build.SOURCES = Path(sys.argv[1]); print(build.library('own', ['one.cu'], (9, 0)))"
    )
    command = [sys.executable, "-c", script, str(own_sources)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    printed = {process.communicate()[0].strip() for process in running}
    assert len(printed) == 1 and all(process.returncode == 0 for process in running)
    assert Path(printed.pop()).is_file()


@needs_compiler
def test_machine_code_for_known_gpus_and_ptx_for_newer_ones() -> None:
    nvcc = build.compiler()
    newest = architectures(nvcc)[-1]
    assert target(nvcc, (8, 6)) == ["-gencode=arch=compute_86,code=sm_86"]
    assert target(nvcc, (9, 0)) == ["-gencode=arch=compute_90a,code=sm_90a"]
    assert target(nvcc, (99, 0)) == [f"-gencode=arch=compute_{newest},code=compute_{newest}"]
    with pytest.raises(BuildError, match=r"compute capability 7\.5 is too old"):
        target(nvcc, (7, 5))


def test_without_a_compiler_pytorch_computes_and_the_log_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing() -> Path:
        raise BuildError("no CUDA compiler (nvcc)")

    monkeypatch.setattr(build, "compiler", missing)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: HOPPER)
    kernels = KernelLibrary("none", ("activation.cu",), {})
    with caplog.at_level(logging.WARNING):
        assert not any(kernels.serves(torch.device("cuda")) for _ in range(3))
    assert [r.getMessage() for r in caplog.records] == [
        "kernels 'none': using PyTorch instead (no CUDA compiler (nvcc))"
    ]


def test_no_gpu_or_the_users_word_mean_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not serves(torch.zeros(1, 8))
    monkeypatch.setenv("WANCORE_KERNELS", "off")
    assert not KERNELS.serves(torch.device("cuda"))
    assert "WANCORE_KERNELS" in os.environ
