"""Loading a module: strict, in the asked dtype, and without a second copy in memory."""

from __future__ import annotations

import json
import mmap
import os
import platform
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.checkpoints.synthetic import write_headers, write_raw
from wancore.checkpoints import load_module, open_view
from wancore.checkpoints.load import materialised
from wancore.checkpoints.mapped import DTYPES
from wancore.errors import CheckpointError
from wancore.quant import dense_weight


class Net(nn.Module):
    def __init__(self, width: int = 4, layers: int = 2) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.register_buffer("count", torch.zeros(2, dtype=torch.int64))
        self.register_buffer("scratch", torch.zeros(2), persistent=False)


def on_meta(**sizes: int) -> Net:
    with torch.device("meta"):
        return Net(**sizes)


def saved(tmp_path: Path, dtype: torch.dtype = torch.float32) -> tuple[dict[str, torch.Tensor], Path]:
    tensors = {k: v.to(dtype) if v.is_floating_point() else v for k, v in Net().state_dict().items()}
    save_file(tensors, tmp_path / "net.safetensors")
    return tensors, tmp_path / "net.safetensors"


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16, torch.float8_e4m3fn])
def test_tensors_arrive_in_the_asked_dtype(tmp_path: Path, stored: torch.dtype) -> None:
    tensors, path = saved(tmp_path, stored)
    net = on_meta()
    load_module(net, open_view(path), dtype=torch.float64)
    for name, stored_tensor in tensors.items():
        layer = net.get_submodule(name.rpartition(".")[0])
        is_weight = name.endswith("weight")
        tensor = dense_weight(layer, torch.float64) if is_weight else net.state_dict()[name]
        wanted = stored_tensor.double() if stored_tensor.is_floating_point() else stored_tensor
        assert torch.equal(tensor, wanted) and tensor.dtype == wanted.dtype
    assert not any(p.requires_grad for p in net.parameters())


def test_without_a_dtype_tensors_stay_as_stored(tmp_path: Path) -> None:
    _, path = saved(tmp_path, torch.bfloat16)
    net = on_meta()
    load_module(net, open_view(path))
    assert net.layers[0].weight.dtype == torch.bfloat16
    assert not materialised(net)  # the non-persistent buffer is the module's own business
    net.scratch = torch.zeros(2)
    assert materialised(net)


def test_float8_needs_a_dtype(tmp_path: Path) -> None:
    _, path = saved(tmp_path, torch.float8_e5m2)
    with pytest.raises(CheckpointError, match=r"key 'layers\.0\.bias': is stored as torch.float8_e5m2"):
        load_module(on_meta(), open_view(path))


def test_missing_and_unexpected_keys_are_listed_briefly(tmp_path: Path) -> None:
    save_file(
        {f"x{i}": torch.zeros(1) for i in range(9)} | {"count": torch.zeros(2)}, tmp_path / "x.safetensors"
    )
    view = open_view(tmp_path / "x.safetensors")
    missing = "4 keys missing (layers.0.weight, layers.0.bias, layers.1.weight, …)"
    with pytest.raises(CheckpointError, match=re.escape(missing + "; 9 keys unexpected (x0, x1, x2, …)")):
        load_module(on_meta(), view)


def test_ignored_keys_may_be_there(tmp_path: Path) -> None:
    tensors, path = saved(tmp_path)
    save_file({**tensors, "extra": torch.zeros(1)}, path)
    load_module(on_meta(), open_view(path), ignore={"extra", "another"})


def test_a_wrong_shape_is_refused_before_anything_is_assigned(tmp_path: Path) -> None:
    tensors, path = saved(tmp_path)
    save_file(tensors | {"layers.1.bias": torch.zeros(5)}, path)
    net = on_meta()
    with pytest.raises(CheckpointError, match=r"'layers\.1\.bias': has shape \[5\], the model needs \[4\]"):
        load_module(net, open_view(path))
    assert net.layers[0].weight.is_meta


@pytest.mark.parametrize(
    ("extra", "dtype", "name"),
    [
        ("weight_scale", "U8", "4-bit float"),
        ("other", "I8", "packed integers"),
    ],
)
def test_formats_that_are_not_read_are_refused_by_name(
    tmp_path: Path, extra: str, dtype: str, name: str
) -> None:
    shapes = {"layers.0.weight": [4, 4], f"layers.0.{extra}": [1]}
    path = write_headers(tmp_path / "q.safetensors", shapes, {"layers.0.weight": dtype})
    with pytest.raises(CheckpointError, match=re.escape(f"is quantised ({name}")):
        load_module(on_meta(), open_view(path), dtype=torch.float32)


def test_each_file_is_mapped_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []

    class Counting(mmap.mmap):
        def __init__(self, *arguments: object, **options: object) -> None:
            lengths.append(len(self))

    tensors, path = saved(tmp_path)
    monkeypatch.setattr(mmap, "mmap", Counting)
    load_module(on_meta(), open_view(path))
    assert lengths == [path.stat().st_size] and len(tensors) > 1


@pytest.mark.parametrize("pad", range(8))
def test_tensors_at_odd_positions_are_read(tmp_path: Path, pad: int) -> None:
    values, half = torch.tensor([1.5, -2.5]), torch.tensor([3.0, 4.0], dtype=torch.bfloat16)
    layout = {
        "odd": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
        "none": {"dtype": "F32", "shape": [0, 3], "data_offsets": [1, 1]},
        "half": {"dtype": "BF16", "shape": [2], "data_offsets": [1, 5]},
        "x": {"dtype": "F32", "shape": [2, 1], "data_offsets": [5, 13]},
    }
    path = write_raw(tmp_path / "x.safetensors", json.dumps(layout).encode() + b" " * pad)
    data = b"\7" + half.view(torch.uint8).numpy().tobytes() + values.numpy().tobytes()
    path.write_bytes(path.read_bytes() + data)
    view = open_view(path)
    assert view.tensor("odd").item() == 7 and view.tensor("none").shape == (0, 3)
    assert torch.equal(view.tensor("x"), values[:, None]) and torch.equal(view.tensor("half"), half)


def test_every_dtype_is_read_like_the_library_does(tmp_path: Path) -> None:
    tensors = {name: torch.arange(6).to(dtype).reshape(2, 3) for name, dtype in DTYPES.items()}
    save_file(tensors, tmp_path / "x.safetensors")
    view = open_view(tmp_path / "x.safetensors")
    for name, tensor in tensors.items():
        assert view.entries[name].dtype == name and view.tensor(name).dtype == tensor.dtype
        assert torch.equal(view.tensor(name).view(torch.uint8), tensor.view(torch.uint8))


def test_four_bit_tensors_are_seen_but_not_read(tmp_path: Path) -> None:
    view = open_view(write_headers(tmp_path / "x.safetensors", {"a": [4]}, "F4"))
    with pytest.raises(CheckpointError, match=r"key 'a': cannot be read: F4 tensors"):
        view.tensor("a")


def test_writing_to_a_loaded_tensor_leaves_the_file_alone(tmp_path: Path) -> None:
    tensors, path = saved(tmp_path)
    before = path.read_bytes()
    net = on_meta()
    load_module(net, open_view(path))
    net.layers[0].weight.zero_()
    assert path.read_bytes() == before and tensors["layers.0.weight"].any()


def test_a_file_that_shrinks_after_opening_is_refused(tmp_path: Path) -> None:
    _, path = saved(tmp_path)
    view = open_view(path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(CheckpointError, match=r"net\.safetensors: key .* truncated file"):
        view.tensor("layers.0.weight")


@pytest.mark.skipif(platform.system() != "Linux", reason="other systems may reserve memory for a mapping")
def test_a_file_larger_than_memory_can_be_read(tmp_path: Path) -> None:
    if Path("/proc/sys/vm/overcommit_memory").read_text().strip() == "2":
        pytest.skip("this host never promises more memory than it has")
    size = 4 * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    view = open_view(write_headers(tmp_path / "x.safetensors", {"huge": [size], "last": [1]}, {"huge": "U8"}))
    assert view.tensor("huge")[-1] == 0 and view.tensor("last").item() == 0


def mapped(path: Path) -> list[range]:
    """The addresses at which this process sees the bytes of `path`."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    places = [line.split()[0].split("-") for line in lines if line.endswith(f" {path}")]
    return [range(int(start, 16), int(end, 16)) for start, end in places]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux")
def test_loading_maps_the_file_instead_of_copying_it(tmp_path: Path) -> None:
    """What converting takes beside it is measured in `test_peak.py`, in a process of its own."""
    sizes = {"width": 64, "layers": 8}
    shapes = {k: list(v.shape) for k, v in on_meta(**sizes).state_dict().items()}
    path = write_headers(tmp_path / "big.safetensors", shapes, {"count": "I64"}).resolve()
    net, halves, view = on_meta(**sizes), on_meta(**sizes), open_view(path)
    load_module(net, view)
    load_module(halves, view, dtype=torch.bfloat16)
    places = mapped(path)
    assert places
    for name, stored in net.named_parameters():
        assert any(stored.data_ptr() in place for place in places), name
        assert not any(halves.get_parameter(name).data_ptr() in place for place in places), name
