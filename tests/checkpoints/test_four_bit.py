"""4-bit formats, against packers written from their descriptions, value by value."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from wancore.checkpoints import FileView, open_view
from wancore.checkpoints.layer_formats import check_readable, found_formats
from wancore.errors import CheckpointError
from wancore.quant.rotated import hadamard

ROWS, COLUMNS = 160, 320  # more than a tile of scales, and no multiple of one
E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
MASTER = torch.randn(ROWS, COLUMNS, generator=torch.Generator().manual_seed(0)) * 0.05
CODES = torch.randint(0, 16, (ROWS, COLUMNS), generator=torch.Generator().manual_seed(1))
LOW_FIRST = (CODES[:, 0::2] | CODES[:, 1::2] << 4).to(torch.uint8)


def stored(tmp_path: Path, format: str = "", **tensors: Tensor) -> FileView:
    named = {f"blocks.0.ffn.0.{name}": tensor.contiguous() for name, tensor in tensors.items()}
    if format:
        text = json.dumps({"format": format, "convrot_groupsize": 64}).encode()
        named["blocks.0.ffn.0.comfy_quant"] = torch.tensor(list(text), dtype=torch.uint8)
    save_file(named, tmp_path / "x.safetensors")
    return open_view(tmp_path / "x.safetensors")


def read(view: FileView, format: str) -> Tensor:
    """The weight, after checks that nothing else is left and that it takes no more memory than the file."""
    assert list(view.entries) == ["blocks.0.ffn.0.weight"]
    assert [(f.name, f.problem) for f in found_formats(view)] == [(format, "")]
    with view.reader() as reader:
        weight = reader.weight("blocks.0.ffn.0.weight", (ROWS, COLUMNS))
    assert weight is not None and weight.nbytes <= view.path.stat().st_size + 64
    return weight.values()


def lightx2v(master: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """As its kernel packs them, one element after another; and what that stands for, in float64."""
    whole = 2688 / master.abs().max()
    codes = torch.zeros(ROWS, COLUMNS // 2, dtype=torch.uint8)
    scales = torch.zeros(256 * 20, dtype=torch.uint8)
    values = torch.zeros(ROWS, COLUMNS, dtype=torch.float64)
    table = torch.tensor(E2M1)
    for row in range(ROWS):
        blocks = master[row].reshape(-1, 16)
        scale = (whole * blocks.abs().amax(1) / 6).to(torch.float8_e4m3fn)
        for column, bits in enumerate(scale.view(torch.uint8).tolist()):
            tile = row // 128 * 5 + column // 4
            scales[tile * 512 + row % 32 * 16 + row % 128 // 32 * 4 + column % 4] = bits
        wanted = blocks * (whole / scale.float())[:, None]
        nearest = (wanted.abs()[..., None] - table).abs().argmin(-1)
        code = (nearest | (wanted < 0).long() << 3).reshape(-1)
        codes[row] = (code[0::2] | code[1::2] << 4).to(torch.uint8)
        signed = table[nearest].double() * torch.where(wanted < 0, -1, 1)
        values[row] = (signed * scale.double()[:, None] / whole.double()).reshape(-1)
    parts = {"weight": codes, "weight_scale": scales.reshape(256, 20).view(torch.float8_e4m3fn)}
    return {**parts, "weight_global_scale": whole}, values


@pytest.mark.parametrize("calibrated", [False, True])
def test_lightx2v_nvfp4(calibrated: bool, tmp_path: Path) -> None:
    tensors, expected = lightx2v(MASTER)
    if calibrated:
        inputs = torch.tensor(2688 / 5.0)
        tensors |= {"alpha": 1 / (inputs * tensors.pop("weight_global_scale")), "input_global_scale": inputs}
    got = read(stored(tmp_path, **tensors), "LightX2V nvfp4")
    torch.testing.assert_close(got.double(), expected, rtol=1e-6, atol=0)
    assert float((got - MASTER).norm() / MASTER.norm()) < 0.1


def test_codes_without_anything_that_tells_their_order_are_refused(tmp_path: Path) -> None:
    tensors, _ = lightx2v(MASTER)
    del tensors["weight_global_scale"]
    with pytest.raises(CheckpointError, match="which is not read"):
        check_readable(stored(tmp_path, **tensors))


@pytest.mark.parametrize("kind", ["codebook", "uniform", "zero point"])
@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float32])
def test_w4a8(kind: str, dtype: torch.dtype, tmp_path: Path) -> None:
    relative = (torch.rand(ROWS, COLUMNS // 16) * 100 + 1).to(dtype)
    channel, book = torch.rand(ROWS) * 1e-3, torch.randn(16).sort().values
    zero = torch.randn(COLUMNS // 16, ROWS).bfloat16()
    extra = {"codebook": {"weight_codebook": book}, "zero point": {"weight_correction": zero}}.get(kind, {})
    parts = {"weight_s_rel": relative, "weight_s_channel": channel, **extra}
    got = read(
        stored(tmp_path, "asym_w4a8_int8", weight=LOW_FIRST.view(torch.int8), **parts),
        "ComfyUI asym_w4a8_int8",
    )
    levels = book[CODES] if kind == "codebook" else CODES - 8.0
    scale = (relative.double() * channel.double()[:, None]).repeat_interleave(16, 1)
    expected = levels.double() * scale
    if kind == "zero point":
        expected += zero.T.double().repeat_interleave(16, 1)
    rotation = torch.block_diag(*[hadamard(64).double()] * (COLUMNS // 64))
    torch.testing.assert_close(got.double(), expected @ rotation, rtol=1e-4, atol=1e-5)


def test_w6a8_is_no_4_bit_format(tmp_path: Path) -> None:
    """Rows of 3/4 byte a column, under the same name."""
    six = torch.zeros(ROWS, COLUMNS * 3 // 4, dtype=torch.int8)
    parts = {"weight_s_rel": torch.ones(ROWS, COLUMNS // 16), "weight_s_channel": torch.ones(ROWS)}
    view = stored(tmp_path, "asym_w4a8_int8", weight=six, **parts)
    with pytest.raises(CheckpointError, match="are no 4-bit codes"):
        view.tensor("blocks.0.ffn.0.weight")


def test_awq(tmp_path: Path) -> None:
    scale, zeros = torch.rand(COLUMNS // 64, ROWS).bfloat16(), torch.randn(COLUMNS // 64, ROWS).bfloat16()
    parts = {"weight": LOW_FIRST.view(torch.int8), "weight_scale": scale, "weight_zeros": zeros}
    got = read(stored(tmp_path, "awq_w4a16", **parts), "ComfyUI awq_w4a16")
    expected = (CODES - 8.0) * scale.T.float().repeat_interleave(64, 1)
    assert torch.equal(got, expected + zeros.T.float().repeat_interleave(64, 1))
