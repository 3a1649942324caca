"""The table of GPUs, by described devices."""

from __future__ import annotations

import pytest
import torch

from wancore.runtime.gpu import Gpu
from wancore.runtime.settings import Settings, setting_sources
from wancore.runtime.switches import ALLOCATOR, allocator, apply, set_allocator, switches

GIB = 2**30
GPUS = {
    gpu.name: gpu
    for gpu in (
        Gpu("A100", (8, 0), 80 * GIB),
        Gpu("H100", (9, 0), 80 * GIB),
        Gpu("H200", (9, 0), 141 * GIB),
        Gpu("L4", (8, 9), 24 * GIB),
        Gpu("L40S", (8, 9), 48 * GIB),
        Gpu("RTX 4090", (8, 9), 24 * GIB),
        Gpu("RTX 3090", (8, 6), 24 * GIB),
        Gpu("A10", (8, 6), 24 * GIB),
        Gpu("B200", (10, 0), 180 * GIB),
        Gpu("RTX 5090", (12, 0), 32 * GIB),
        Gpu("T4", (7, 5), 16 * GIB),
    )
}


def values(gpu: Gpu, **settings) -> dict[str, object]:
    return {switch.name: switch.value for switch in switches(gpu, Settings(**settings))}


@pytest.mark.parametrize(
    ("name", "architecture", "reduction", "cudnn"),
    [
        ("A100", "Ampere, data centre", True, False),
        ("H100", "Hopper", True, True),
        ("H200", "Hopper", True, True),
        ("L4", "Ada", False, False),
        ("L40S", "Ada", False, False),
        ("RTX 4090", "Ada", False, False),
        ("RTX 3090", "Ampere", True, False),
        ("A10", "Ampere", True, False),
        ("B200", "Blackwell, data centre", True, True),
        ("RTX 5090", "Blackwell", False, True),
        ("T4", "Turing", False, False),
    ],
)
def test_the_table(name, architecture, reduction, cudnn):
    gpu = GPUS[name]
    chosen = values(gpu)
    assert gpu.architecture == architecture and architecture in gpu.describe()
    assert chosen["bf16 reduced-precision reduction"] is reduction
    assert chosen["cudnn sdpa"] is cudnn
    assert chosen["flash sdpa"] is (gpu.capability >= (8, 0))
    assert all(switch.reason for switch in switches(gpu, Settings()))


def test_float32_means_float32():
    assert values(GPUS["H100"])["tf32 in convolutions"] is True
    assert values(GPUS["H100"])["tf32 in products"] is False
    assert values(GPUS["H100"], dtype="float32")["tf32 in convolutions"] is False
    assert values(GPUS["H100"], dtype="float32", tf32="on")["tf32 in products"] is True


def test_a_setting_decides_and_is_named():
    chosen = {s.name: s for s in switches(GPUS["L4"], Settings(bf16_reduction="on", cudnn_benchmark="off"))}
    assert chosen["bf16 reduced-precision reduction"].value is True
    assert chosen["bf16 reduced-precision reduction"].source == "setting bf16_reduction"
    assert chosen["cudnn benchmark"].value is False
    assert chosen["flash sdpa"].source == "table"


def test_switches_are_set():
    before = switches(GPUS["H100"], Settings())
    flags = (
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.benchmark,
        torch.backends.cuda.cudnn_sdp_enabled(),
    )
    try:
        apply(switches(GPUS["L4"], Settings(tf32="off")))
        assert not torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction
        assert not torch.backends.cudnn.allow_tf32 and not torch.backends.cuda.matmul.allow_tf32
        assert torch.backends.cudnn.benchmark and not torch.backends.cuda.cudnn_sdp_enabled()
        apply(before)
        assert torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction
        assert torch.backends.cudnn.allow_tf32 and torch.backends.cuda.cudnn_sdp_enabled()
    finally:
        matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
        matmul.allow_bf16_reduced_precision_reduction, cudnn.allow_tf32 = flags[:2]
        matmul.allow_tf32, cudnn.benchmark = flags[2:4]
        torch.backends.cuda.enable_cudnn_sdp(flags[4])


def test_the_allocator_is_told_before_the_first_allocation(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)  # other tests may have used a GPU
    environment: dict[str, str] = {}
    assert set_allocator(Settings(), environment).value == ALLOCATOR
    assert environment == {"PYTORCH_CUDA_ALLOC_CONF": ALLOCATOR}
    own = {"PYTORCH_ALLOC_CONF": "max_split_size_mb:64"}
    switch = set_allocator(Settings(), own)
    assert (switch.value, switch.source) == ("max_split_size_mb:64", "variable PYTORCH_ALLOC_CONF")
    assert list(own) == ["PYTORCH_ALLOC_CONF"]
    assert allocator(Settings(allocator="default"), {}).value == ""
    assert allocator(Settings(allocator="backend:native"), {}).source == "setting allocator"


def test_where_settings_come_from(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wancore.toml").write_text('tf32 = "on"\nvram = "8GB"\n')
    monkeypatch.setenv("WANCORE_VRAM", "9GB")
    monkeypatch.setenv("WAN_TORCH_COMPILE", "1")
    found = setting_sources()
    assert {n: found[n] for n in ("tf32", "vram", "compile")} == {
        "tf32": "wancore.toml", "vram": "WANCORE_VRAM", "compile": "WAN_TORCH_COMPILE",
    }  # fmt: skip
    assert Settings().vram == "9GB" and Settings().compile
