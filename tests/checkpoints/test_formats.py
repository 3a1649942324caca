"""How stored weights are told apart and put together."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.checkpoints.synthetic import write_headers
from wancore.checkpoints import FileView, load_module, open_view
from wancore.checkpoints.layer_formats import found_formats
from wancore.checkpoints.merge import merged
from wancore.checkpoints.ownership import Owner, owned
from wancore.errors import CheckpointError
from wancore.quant import Linear, dense_weight
from wancore.quant.scaled import ScaledWeight

E4M3, E5M2 = torch.float8_e4m3fn, torch.float8_e5m2
FP8 = torch.randn(6, 8).to(E4M3)
ONE = torch.ones(1)
INT8 = torch.randint(-127, 128, (6, 8), dtype=torch.int8)


class Net(nn.Module):
    def __init__(self, rows: int = 6, columns: int = 8) -> None:
        super().__init__()
        self.layer = nn.Linear(columns, rows)
        self.table = nn.Embedding(6, 8)


def on_meta(rows: int = 6, columns: int = 8) -> Net:
    with torch.device("meta"):
        return Net(rows, columns)


def stored(tmp_path: Path, metadata: Mapping[str, str] | None = None, **tensors: Tensor) -> FileView:
    """A file with `layer.<name>` for each tensor, and what else the net has."""
    rest = {"layer.bias": torch.zeros(6), "table.weight": torch.ones(6, 8)}
    named = {f"layer.{name}": tensor for name, tensor in tensors.items()}
    save_file({**rest, **named}, tmp_path / "x.safetensors", dict(metadata or {}))
    return open_view(tmp_path / "x.safetensors")


def described(**options: object) -> Tensor:
    return torch.tensor(list(json.dumps(options).encode()), dtype=torch.uint8)


def loaded(view: FileView, **sizes: int) -> Linear:
    net = on_meta(**sizes)
    load_module(net, view)
    assert isinstance(net.layer, Linear)
    return net.layer


CASES: dict[str, tuple[str, str, dict[str, Tensor], Tensor]] = {
    "plain": ("fp8", "plain fp8 e4m3", {"weight": FP8}, FP8.float()),
    "scaled": (
        "fp8_scaled",
        "fp8 e4m3 with one scale",
        {"weight": FP8, "scale_weight": torch.tensor(0.5), "scale_input": torch.tensor(1.0)},
        FP8.float() * 0.5,
    ),
    "e5m2": (
        "fp8_scaled",
        "fp8 e5m2 with one scale",
        {"weight": FP8.to(E5M2), "scale_weight": torch.tensor([0.5])},
        FP8.to(E5M2).float() * 0.5,
    ),
    "channel": (
        "int8_channel",
        "int8 with channel scales",
        {"weight": INT8, "weight_scale": torch.arange(1.0, 7)[:, None]},
        INT8.float() * torch.arange(1.0, 7)[:, None],
    ),
    "tiles": (
        "fp8_block",
        "fp8 e4m3 with block scales",
        {"weight": FP8, "weight_scale": torch.tensor([[1.0, 2.0]])},
        FP8.float() * torch.tensor([1.0] * 4 + [2.0] * 4),
    ),
    "columns": (
        "fp8_scaled",
        "fp8 e4m3 with block scales",
        {"weight": FP8, "scale_weight": torch.full((6, 2, 1), 0.5, dtype=torch.bfloat16)},
        FP8.float() * 0.5,
    ),
    "stand-in": (
        "int8_channel",
        "int8 with channel scales",
        {"weight_int8": INT8, "weight_scale": torch.arange(1.0, 7)},
        INT8.float() * torch.arange(1.0, 7)[:, None],
    ),
    "described": (
        "comfy",
        "ComfyUI float8_e4m3fn",
        {"weight": FP8, "weight_scale": torch.tensor(2.0), "comfy_quant": described(format="float8_e4m3fn")},
        FP8.float() * 2,
    ),
    "described int8": (
        "comfy",
        "ComfyUI int8_tensorwise",
        {
            "weight": INT8,
            "weight_scale": torch.tensor(2.0),
            "comfy_quant": described(format="int8_tensorwise"),
        },
        INT8.float() * 2,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_format_is_told_and_read(tmp_path: Path, name: str) -> None:
    scheme, format, tensors, expected = CASES[name]
    view = stored(tmp_path, **tensors)
    assert [(f.scheme, f.name, f.layers, f.problem) for f in found_formats(view)] == [(scheme, format, 1, "")]
    assert set(view.entries) == {"layer.weight", "layer.bias", "table.weight"}
    assert view.shape("layer.weight") == (6, 8) and torch.equal(view.tensor("layer.weight"), expected)
    layer = loaded(view)
    assert layer.weight.format == format and torch.equal(dense_weight(layer), expected)
    net = on_meta()
    load_module(net, view, dtype=torch.bfloat16, keep_quantised=False)
    assert type(net.layer) is nn.Linear and torch.equal(net.layer.weight, expected.bfloat16())


@pytest.mark.parametrize("name", CASES)
def test_quantised_layers_do_not_expand(tmp_path: Path, name: str) -> None:
    view = stored(tmp_path, **CASES[name][2])
    assert loaded(view).weight.nbytes <= view.entries["layer.weight"].nbytes + 4 * 6
    assert view.entries["layer.weight"].nbytes < 6 * 8 * 2 + 100


def test_rotation_is_an_option_of_int8(tmp_path: Path) -> None:
    options = {"format": "int8_tensorwise", "params": {"convrot": True, "convrot_groupsize": 4}}
    parts = {"weight": INT8, "weight_scale": torch.tensor(1.0), "comfy_quant": described(**options)}
    h = torch.tensor([[1, 1, 1, -1], [1, 1, -1, 1], [1, -1, 1, 1], [-1, 1, 1, 1]]) / 2
    weight = dense_weight(loaded(stored(tmp_path, **parts)))
    torch.testing.assert_close(weight, (INT8.float().reshape(-1, 4) @ h).reshape(6, 8))


def test_int4_has_the_even_column_in_the_low_nibble_and_is_rotated(tmp_path: Path) -> None:
    packed = torch.tensor([[0x2F, 0x70], [0x01, 0x90]], dtype=torch.uint8).view(torch.int8)
    options = {"format": "convrot_w4a4", "convrot_groupsize": 4, "linear_dtype": "int4"}
    parts = {"weight": packed, "weight_scale": torch.tensor([2.0, 0.5]), "comfy_quant": described(**options)}
    tensors = {f"layer.{name}": tensor for name, tensor in parts.items()}
    save_file(tensors, tmp_path / "x.safetensors")
    view = open_view(tmp_path / "x.safetensors")
    assert view.shape("layer.weight") == (2, 4) and view.entries["layer.weight"].nbytes == 4 + 8
    h = torch.tensor([[1, 1, 1, -1], [1, 1, -1, 1], [1, -1, 1, 1], [-1, 1, 1, 1]]) / 2
    rotated = torch.tensor([[-1.0, 2, 0, 7], [1, 0, 0, -7]]) * torch.tensor([[2.0], [0.5]])
    torch.testing.assert_close(view.tensor("layer.weight"), rotated @ h)


def test_a_description_in_the_header_includes_the_prefix_and_may_name_layers_that_are_not_there(
    tmp_path: Path,
) -> None:
    layers = {"layer": {"format": "float8_e4m3fn"}, "gone": {"format": "float8_e4m3fn"}}
    metadata = {"_quantization_metadata": json.dumps({"format_version": "1.0", "layers": layers})}
    view = stored(tmp_path, metadata, weight=FP8, weight_scale=torch.tensor(2.0))
    assert torch.equal(dense_weight(loaded(view)), FP8.float() * 2)


@pytest.mark.parametrize(("numel", "precise"), [(0, False), (2, True)])
@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_the_marker_may_ask_for_full_precision(
    tmp_path: Path, numel: int, precise: bool, prefix: str
) -> None:
    tensors = {
        "layer.weight": FP8,
        "layer.scale_weight": torch.ones(1),
        "scaled_fp8": torch.zeros(numel).to(E4M3),
    }
    save_file({prefix + name: tensor for name, tensor in tensors.items()}, tmp_path / "x.safetensors")
    view = open_view(tmp_path / "x.safetensors")
    assert set(view.entries) == {f"{prefix}layer.weight"}
    with view.reader() as reader:
        weight = reader.weight(f"{prefix}layer.weight", (6, 8))
    assert isinstance(weight, ScaledWeight) and weight.activations.full_precision == precise


def test_a_static_scale_of_activations_is_kept(tmp_path: Path) -> None:
    parts = {"weight": FP8, "scale_weight": torch.ones(1), "scale_input": torch.tensor(0.25)}
    weight = loaded(stored(tmp_path, **parts)).weight
    assert isinstance(weight, ScaledWeight) and weight.activations.scale == 0.25


def test_layers_left_in_16_bits_may_have_a_scale_too(tmp_path: Path) -> None:
    save_file(
        {
            "layer.weight": FP8.bfloat16(),
            "layer.scale_weight": torch.tensor(2.0),
            "layer.bias": torch.zeros(6),
            "table.weight": FP8.clone(),
        },
        tmp_path / "x.safetensors",
    )
    view = open_view(tmp_path / "x.safetensors")
    assert [f.name for f in found_formats(view)] == ["bf16 with one scale", "plain fp8 e4m3"]
    assert torch.equal(dense_weight(loaded(view)), FP8.float() * 2)


def test_embeddings_are_dequantised(tmp_path: Path) -> None:
    tensors = {"layer.weight": FP8, "layer.bias": torch.zeros(6), "table.weight": FP8.clone()}
    save_file(tensors, tmp_path / "x.safetensors")
    net = on_meta()
    load_module(net, open_view(tmp_path / "x.safetensors"), dtype=torch.float16)
    assert type(net.table) is nn.Embedding and torch.equal(net.table.weight, FP8.half())
    assert isinstance(net.layer, Linear)


@pytest.mark.parametrize(
    ("tensors", "problem"),
    [
        ({"weight": FP8, "comfy_quant": described(format="float8_e4m3fn")}, "has no weight_scale beside it"),
        (
            {"weight": INT8, "weight_scale": ONE, "comfy_quant": described(format="float8_e5m2")},
            "is described as float8_e5m2 and stored as I8",
        ),
        ({"weight": FP8, "comfy_quant": described(no="format")}, "described without a format"),
        ({"weight": FP8, "comfy_quant": torch.zeros(3, dtype=torch.uint8)}, "is not JSON"),
        ({"weight": FP8, "comfy_quant": torch.tensor(list(b"[1]"), dtype=torch.uint8)}, "not a JSON object"),
        ({"weight_int8": INT8}, "has no weight_scale beside it"),
        (
            {"weight": INT8, "weight_scale": ONE,
             "comfy_quant": described(format="int8_tensorwise", convrot=3)},
            "convrot: got 3; accepted: bool",
        ),
    ],
)  # fmt: skip
def test_a_file_that_contradicts_itself_is_refused(
    tmp_path: Path, tensors: dict[str, Tensor], problem: str
) -> None:
    with pytest.raises(CheckpointError, match=re.escape(problem)):
        stored(tmp_path, **tensors)


@pytest.mark.parametrize(
    ("tensors", "problem"),
    [
        ({"weight": FP8, "scale_weight": torch.ones(4)}, "scales of shape [4] do not cover 6 x 8"),
        ({"weight": FP8, "scale_weight": ONE, "scale_input": torch.ones(3)}, "input scale has 3 values"),
        (
            {"weight": torch.zeros(16, 8, dtype=torch.uint8), "weight_scale": FP8.clone(),
             "weight_scale_2": torch.ones(1), "comfy_quant": described(format="nvfp4")},
            "block scales have shape [6, 8], not [128, 4]",
        ),
        (
            {"weight": INT8, "weight_scale": torch.ones(1),
             "comfy_quant": described(format="int8_tensorwise", convrot=True)},
            "columns cannot be rotated in groups of 256: 8 of them",
        ),
    ],
)  # fmt: skip
def test_parts_that_do_not_belong_together_are_refused(
    tmp_path: Path, tensors: dict[str, Tensor], problem: str
) -> None:
    with pytest.raises(CheckpointError, match=re.escape(problem)):
        load_module(on_meta(), stored(tmp_path, **tensors))


@pytest.mark.parametrize("format", ["svdquant_w4a4", "of tomorrow"])
def test_an_unknown_format_is_refused_by_its_name(tmp_path: Path, format: str) -> None:
    view = stored(tmp_path, weight=INT8, weight_scale=torch.ones(6), comfy_quant=described(format=format))
    assert "layer.weight_scale" not in view
    with pytest.raises(
        CheckpointError, match=rf"quantised \(ComfyUI {format}, 1 layers\), which is not read"
    ):
        load_module(on_meta(), view)
    with pytest.raises(CheckpointError, match=rf"is stored as ComfyUI {format}: accepted: float8_e4m3fn"):
        view.tensor("layer.weight")


def test_padding_is_cut_off_to_what_the_model_has(tmp_path: Path) -> None:
    parts = {
        "weight": torch.zeros(32, 32).to(E4M3),
        "weight_scale": torch.full((128, 4), 127, dtype=torch.uint8),
        "comfy_quant": described(format="mxfp8"),
    }
    view = stored(tmp_path, **parts)
    assert view.shape("layer.weight") == (32, 32)
    assert loaded(view).weight.shape == (6, 8)
    assert view.cropped({"layer.weight": (6, 8)}).tensor("layer.weight").shape == (6, 8)
    with pytest.raises(
        CheckpointError, match=r"'layer\.weight': has shape \[32, 32\], the model needs \[33, 8\]"
    ):
        load_module(on_meta(rows=33), view)


def test_stacked_and_split_weights_are_quantised_row_by_row(tmp_path: Path) -> None:
    view = stored(tmp_path, weight=INT8, weight_scale=torch.arange(1.0, 7))
    expected = INT8.float() * torch.arange(1.0, 7)[:, None]
    halves = view.split_rows({"layer.weight": ("a", "b")})
    assert torch.equal(halves.tensor("b"), expected[3:])
    with halves.reader() as reader:
        part = reader.weight("b", (3, 8))
        assert part is not None and torch.equal(part.values(), expected[3:])
    again = halves.joined_rows({"both": ("a", "b")})
    assert torch.equal(again.tensor("both"), expected)


def test_modules_keep_the_formats_of_their_own_files(tmp_path: Path) -> None:
    base = stored(tmp_path, weight=FP8)
    other = tmp_path / "module.safetensors"
    save_file({"extra.weight": INT8, "extra.weight_scale": torch.ones(6)}, other)
    whole = merged(base, [open_view(other)])
    assert {f.scheme for f in found_formats(whole)} == {"fp8", "int8_channel"}
    assert whole.path == base.path and whole.files == (tmp_path / "x.safetensors", other)
    views = owned(whole, [Owner("base", ("layer.*", "table.*")), Owner("extra", ("extra.weight",))])
    assert torch.equal(views["extra"].tensor("extra.weight"), INT8.float())
    assert torch.equal(views["base"].tensor("layer.weight"), FP8.float())
    with pytest.raises(CheckpointError, match=r"module\.safetensors: .* 1 key twice \(extra\.weight\)"):
        merged(whole, [open_view(other)])


def test_scales_may_lie_in_another_shard(tmp_path: Path) -> None:
    save_file({"layer.weight": FP8}, tmp_path / "m-00001-of-00002.safetensors")
    save_file({"layer.scale_weight": torch.tensor(2.0)}, tmp_path / "m-00002-of-00002.safetensors")
    assert torch.equal(open_view(tmp_path).tensor("layer.weight"), FP8.float() * 2)


def test_a_float_layer_may_keep_notes_that_mean_nothing(tmp_path: Path) -> None:
    notes = {"input_scale": torch.ones(1), "comfy_quant": described(format="float8_e4m3fn")}
    view = stored(tmp_path, weight=torch.ones(6, 8), **notes)
    assert set(view.entries) == {"layer.weight", "layer.bias", "table.weight"}
    assert found_formats(view) == []


def test_headers_alone_tell_formats(tmp_path: Path) -> None:
    """Sparse files, larger than could be read in the time."""
    shapes = {"a.weight": [60_000, 60_000], "a.scale_weight": [], "b.weight": [60_000, 30_000]}
    dtypes = {"a.weight": "F8_E5M2", "b.weight": "U8"}
    view = open_view(write_headers(tmp_path / "x.safetensors", shapes, dtypes))
    assert [f.name for f in found_formats(view)] == [
        "fp8 e5m2 with one scale",
        "packed integers of unknown meaning",
    ]
