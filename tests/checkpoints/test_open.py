"""Opening checkpoints: one file, shards, folders, and what is not one model."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from tests.checkpoints.synthetic import write_headers, write_json
from wancore.checkpoints import open_view
from wancore.errors import CheckpointError

INDEX = "diffusion_pytorch_model.safetensors.index.json"


def shard(folder: Path, number: int, count: int, names: list[str], stem: str = "m") -> Path:
    path = folder / f"{stem}-{number:05d}-of-{count:05d}.safetensors"
    return write_headers(path, {name: [2] for name in names})


def refused(path: Path, *parts: str) -> None:
    with pytest.raises(CheckpointError) as error:
        open_view(path)
    for part in (str(path.name), *parts):
        assert part in str(error.value)


def test_a_single_file_reads_its_folder_s_config_only_if_it_is_meant(tmp_path: Path) -> None:
    file = write_headers(tmp_path / "a.safetensors", {"x": [2, 3]}, "BF16", {"k": "v"})
    write_json(tmp_path / "config.json", {"dim": 3})
    view = open_view(file)
    assert (view.shape("x"), view.entries["x"].dtype, view.metadata) == ((2, 3), "BF16", {"k": "v"})
    assert view.config == {"dim": 3} and len(view) == 1 and view.files == (file,)
    write_headers(tmp_path / "b.safetensors", {"y": [2]})
    assert open_view(file).config is None
    standard = write_headers(tmp_path / "diffusion_pytorch_model.safetensors", {"y": [2]})
    assert open_view(standard).config == {"dim": 3}


def test_a_missing_key_names_the_file_and_the_key(tmp_path: Path) -> None:
    view = open_view(write_headers(tmp_path / "a.safetensors", {"x": [2]}))
    with pytest.raises(CheckpointError, match=r"a\.safetensors: key 'y': is missing"):
        view.tensor("y")


def test_an_upstream_folder_reads_index_shards_and_config(tmp_path: Path) -> None:
    files = [shard(tmp_path, i, 2, [f"k{i}"], "diffusion_pytorch_model") for i in (1, 2)]
    write_json(tmp_path / INDEX, {"weight_map": {"k1": files[0].name, "k2": files[1].name}})
    write_json(tmp_path / "config.json", {"dim": 8})
    for path in (tmp_path, tmp_path / INDEX, files[1]):
        view = open_view(path)
        assert set(view.entries) == {"k1", "k2"} and view.config == {"dim": 8}
    # Converted components beside the transformer do not make the folder ambiguous.
    write_headers(tmp_path / "Wan2.1_VAE.safetensors", {"z": [2]})
    assert set(open_view(tmp_path).entries) == {"k1", "k2"}


def test_shards_without_an_index_belong_together(tmp_path: Path) -> None:
    for i in (1, 2, 3):
        shard(tmp_path, i, 3, [f"k{i}"])
    assert set(open_view(tmp_path).entries) == {"k1", "k2", "k3"}
    (tmp_path / "m-00002-of-00003.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"1 of 3 shards are missing \(m-00002-of-00003"):
        open_view(tmp_path)


def test_one_file_a_block_with_or_without_index(tmp_path: Path) -> None:
    files = {"block_0": "blocks.0.x", "block_1": "blocks.1.x", "non_block": "head.x"}
    for stem, key in files.items():
        write_headers(tmp_path / f"{stem}.safetensors", {key: [2]})
    assert set(open_view(tmp_path).entries) == set(files.values())
    weight_map = {key: f"{stem}.safetensors" for stem, key in files.items()}
    write_json(tmp_path / INDEX, {"weight_map": weight_map})
    assert set(open_view(tmp_path).entries) == set(files.values())


def test_a_key_in_two_shards_is_refused(tmp_path: Path) -> None:
    shard(tmp_path, 1, 2, ["k"])
    shard(tmp_path, 2, 2, ["k"])
    with pytest.raises(CheckpointError, match=r"key 'k': is also in m-00001-of-00002"):
        open_view(tmp_path)


def test_unrelated_files_are_ambiguous(tmp_path: Path) -> None:
    for name in "abcde":
        write_headers(tmp_path / f"{name}.safetensors", {"x": [2]})
    refused(tmp_path, "several checkpoints (a.safetensors, b.safetensors", "name one of them")


def test_two_sets_of_standard_weights_are_ambiguous(tmp_path: Path) -> None:
    write_headers(tmp_path / "diffusion_pytorch_model.safetensors", {"x": [2]})
    shard(tmp_path, 1, 1, ["x"], "diffusion_pytorch_model")
    refused(tmp_path, "several checkpoints")


@pytest.mark.parametrize("pair", [("high_noise_model", "low_noise_model"), ("transformer", "transformer_2")])
def test_a_folder_of_two_experts_is_not_one_model(tmp_path: Path, pair: tuple[str, str]) -> None:
    for name in pair:
        write_headers(tmp_path / name / "diffusion_pytorch_model.safetensors", {"x": [2]})
    refused(tmp_path, "two experts", *pair)
    assert set(open_view(tmp_path / pair[0]).entries) == {"x"}


def test_a_pipeline_folder_names_its_parts(tmp_path: Path) -> None:
    write_json(tmp_path / "model_index.json", {})
    for name in ("transformer", "vae"):
        (tmp_path / name).mkdir()
    refused(tmp_path, "pipeline", "transformer, vae")


def test_other_kinds_of_file_are_named(tmp_path: Path) -> None:
    torch.save({"x": torch.zeros(2)}, tmp_path / "zip.safetensors")
    torch.save({"x": torch.zeros(2)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    (tmp_path / "empty.ckpt").write_bytes(b"")
    (tmp_path / "q.gguf").write_bytes(b"GGUF\3\0\0\0" + bytes(4))
    (tmp_path / "text.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
    refused(tmp_path / "zip.safetensors", "PyTorch pickle (zip)", "convert")
    refused(tmp_path / "old.pth", "PyTorch pickle", "convert")
    refused(tmp_path / "empty.ckpt", "PyTorch pickle")
    refused(tmp_path / "q.gguf", "truncated")
    refused(tmp_path / "text.safetensors", "accepted: safetensors, GGUF")
    refused(tmp_path / "none.safetensors", "no such file")
    (tmp_path / "pickles").mkdir()
    (tmp_path / "pickles" / "w.pth").touch()
    refused(tmp_path / "pickles", "only pickle files (w.pth)")
    (tmp_path / "nothing").mkdir()
    refused(tmp_path / "nothing", "holds no .safetensors or .gguf file")


def test_a_safetensors_header_may_begin_with_any_byte(tmp_path: Path) -> None:
    # The first bytes are a length: they can look like a pickle's.
    raw = json.dumps({"__metadata__": {}}).encode()
    header = raw.ljust(0x80)
    (tmp_path / "x.bin").write_bytes(len(header).to_bytes(8, "little") + header)
    assert open_view(tmp_path / "x.bin").entries == {}


@pytest.mark.parametrize(
    "name",
    ["../x.safetensors", "/etc/passwd", "..", "", "a/b.safetensors", "..\\x.safetensors", "x\0.safetensors",
     "config.json", 3, None, ["x.safetensors"]],
)  # fmt: skip
def test_an_index_cannot_lead_out_of_its_folder(tmp_path: Path, name: object) -> None:
    write_headers(tmp_path / "x.safetensors", {"k": [2]})
    folder = tmp_path / "m"
    write_json(folder / INDEX, {"weight_map": {"k": name}})
    with pytest.raises(CheckpointError, match="names the shard"):
        open_view(folder)


@pytest.mark.parametrize("document", [[], {}, {"weight_map": []}, {"weight_map": {}}, {"weight_map": "x"}])
def test_an_index_without_a_map_is_refused(tmp_path: Path, document: object) -> None:
    write_json(tmp_path / INDEX, document)
    with pytest.raises(CheckpointError, match=r"weight_map|not a JSON object"):
        open_view(tmp_path)


def test_an_index_that_disagrees_with_its_shards_is_refused(tmp_path: Path) -> None:
    file = write_headers(tmp_path / "x.safetensors", {"k": [2]})
    write_json(tmp_path / INDEX, {"weight_map": {"k": file.name, "other": file.name}})
    with pytest.raises(CheckpointError, match=r"key 'other': is said to be in x\.safetensors"):
        open_view(tmp_path)


@given(st.binary(max_size=60) | st.text(max_size=40).map(str.encode))
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_broken_json_beside_weights_raises_only_our_error(tmp_path: Path, data: bytes) -> None:
    write_headers(tmp_path / "x.safetensors", {"k": [2]})
    for name in (INDEX, "config.json"):
        (tmp_path / INDEX).unlink(missing_ok=True)
        (tmp_path / name).write_bytes(data)
        try:
            open_view(tmp_path)
        except CheckpointError as error:
            assert name in str(error)


def test_joined_rows_undo_split_rows(tmp_path: Path) -> None:
    kv = torch.arange(12.0).reshape(6, 2)
    save_file({"kv": kv, "one": torch.ones(2, 3)}, tmp_path / "x.safetensors")
    view = open_view(tmp_path / "x.safetensors")
    again = view.split_rows({"kv": ("k", "v")}).joined_rows({"kv": ("k", "v")})
    assert again.shape("kv") == (6, 2) and torch.equal(again.tensor("kv"), kv)
    assert again.entries["kv"].nbytes == view.entries["kv"].nbytes
    with pytest.raises(CheckpointError, match=r"key 'both': cannot be joined from F32\[6, 2\], F32\[2, 3\]"):
        view.joined_rows({"both": ("kv", "one")})


def test_renaming_keeps_data_and_refuses_collisions(tmp_path: Path) -> None:
    save_file({"m.a": torch.ones(2), "m.b": torch.zeros(2)}, tmp_path / "x.safetensors")
    view = open_view(tmp_path / "x.safetensors")
    assert torch.equal(view.under("m.").renamed({"a": "c"}).tensor("c"), torch.ones(2))
    with pytest.raises(CheckpointError, match=r"'m\.b'.*both be named 'c'"):
        view.renamed({"m.a": "c", "m.b": "c"})


def test_files_are_read_again_only_where_they_may_have_changed(tmp_path: Path) -> None:
    file = write_headers(tmp_path / "a.safetensors", {"old": [2]})
    fresh = open_view(file)
    write_headers(file, {"new": [2]})
    os.utime(file, (1e9, 1e9))
    assert "old" in fresh and "new" in open_view(file), "within one tick of the clock times tell nothing"
    assert open_view(file).entries is open_view(file).entries
    write_headers(file, {"own": [2]})
    os.utime(file, (1e9 + 1, 1e9 + 1))
    assert "own" in open_view(file)


def test_a_remembered_file_has_the_config_of_now(tmp_path: Path) -> None:
    file = write_headers(tmp_path / "a.safetensors", {"x": [2]})
    os.utime(file, (1e9, 1e9))
    assert open_view(file).config is None
    write_json(tmp_path / "config.json", {"dim": 3})
    assert open_view(file).config == {"dim": 3}
