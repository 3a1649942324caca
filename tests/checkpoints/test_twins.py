"""Files with one header are looked at once, and come out as if each had been looked at alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.checkpoints.synthetic import wan_shapes, write_headers, write_raw
from wancore.checkpoints.header import HeaderError, read_header
from wancore.checkpoints.inspect import checkpoint_report, inspect
from wancore.checkpoints.twins import Twins
from wancore.cli.models import installed_families

FAMILIES = installed_families()
TALKING = {f"blocks.{i}.audio_cross_attn.kv_linear.weight": [8, 4] for i in range(2)} | {
    "audio_proj.proj1_vf.weight": [4, 4]
}
PAIR = {f"diffusion_model.blocks.0.self_attn.q.lora_{part}.weight": [4, 4] for part in ("up", "down")}


@pytest.mark.parametrize("shapes", [wan_shapes(), TALKING, PAIR, {"x": [2]}], ids=range(4))
def test_each_comes_out_as_alone(shapes: dict[str, list[int]], tmp_path: Path) -> None:
    """Names hint at families, metadata differ in length: nothing else does."""
    twins = Twins()
    names = ("a", "InfiniteTalk-single", "multitalk", "wan2.2_high_noise", "phantom")
    for i, name in enumerate(names):
        path = write_headers(tmp_path / f"{name}.safetensors", shapes, "BF16", {"note": "x" * i})
        looked = twins.looked(path)
        assert looked is not None
        assert checkpoint_report(looked, FAMILIES) == inspect(path, FAMILIES)
    assert len(twins._seen) == 1


def test_what_a_header_does_not_tell_alone_is_opened(tmp_path: Path) -> None:
    twins, shapes = Twins(), wan_shapes()
    described = {**PAIR, "a.comfy_quant": [4]}
    dtypes = {**dict.fromkeys(PAIR, "F32"), "a.comfy_quant": "U8"}
    assert twins.looked(write_headers(tmp_path / "a.safetensors", described, dtypes)) is None
    metadata = {"_quantization_metadata": "{}"}
    assert twins.looked(write_headers(tmp_path / "b.safetensors", shapes, "F32", metadata)) is None
    assert twins.looked(write_headers(tmp_path / "m-00001-of-00002.safetensors", shapes)) is None
    assert twins.looked(write_raw(tmp_path / "c.safetensors", b"{nonsense")) is None
    (tmp_path / "config.json").write_text("{}")
    assert twins.looked(write_headers(tmp_path / "d.safetensors", shapes)) is None


ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
TENSOR, NOTE = f'"a": {json.dumps(ONE)}', '"__metadata__": {"k": "v"}'


@pytest.mark.parametrize(
    "header",
    [f"{{{NOTE}, {TENSOR}, {NOTE}}}", f"{{{NOTE}, {NOTE}, {TENSOR}}}", f"{{{NOTE}, }}",
     f"{{{NOTE}, {TENSOR}, {TENSOR}}}", f"{{{NOTE} {TENSOR}}}", '{"__metadata__": null, ' + TENSOR + "}",
     '{"__metadata__": {"k": "v", "k": "w"}, ' + TENSOR + "}"],
)  # fmt: skip
def test_metadata_at_the_front_are_no_way_around_the_checks(header: str, tmp_path: Path) -> None:
    with pytest.raises(HeaderError):
        read_header(write_raw(tmp_path / "a.safetensors", header.encode(), 4))


@pytest.mark.parametrize(
    "header", [f"{{{NOTE}, {TENSOR}}}", f"{{{TENSOR}, {NOTE}}}", f'{{ "__metadata__":{{}},{TENSOR}}}  ']
)
def test_metadata_may_stand_anywhere(header: str, tmp_path: Path) -> None:
    read = read_header(write_raw(tmp_path / "a.safetensors", header.encode(), 4))
    assert list(read.tensors) == ["a"] and dict(read.metadata) in ({"k": "v"}, {})
    with pytest.raises(HeaderError, match="truncated"):
        read_header(write_raw(tmp_path / "b.safetensors", header.encode(), 3))
