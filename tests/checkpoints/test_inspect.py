"""What `inspect` says about files and folders."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkpoints.synthetic import wan_shapes, write_headers, write_json
from tests.checkpoints.test_layout import models, pipeline, text_encoder, transformer, vae
from wancore.checkpoints import FileView
from wancore.checkpoints.claim import Claim
from wancore.checkpoints.inspect import inspect
from wancore.checkpoints.report import Report
from wancore.errors import CheckpointError

__all__ = ["models"]  # the fixture

FULL = wan_shapes(dim=256, ffn=512, layers=2, in_dim=36, text_dim=32, clip=12)


class Camera:
    """A family whose files have a key of their own."""

    id = "camera"

    def recognise(self, file: FileView) -> Claim | None:
        needs = ("a camera path",)
        return Claim("merged", "camera", needs=needs) if "blocks.0.camera.weight" in file else None


def quantised(tmp_path: Path, format: str | None = None) -> Report:
    """One layer in fp8 with one scale; described as `format` if that is given."""
    shapes = {f"model.diffusion_model.{k}": v for k, v in FULL.items()}
    layer = "model.diffusion_model.blocks.0.ffn.0"
    shapes |= {f"{layer}.scale_weight": [], "model.diffusion_model.scaled_fp8": [0]}
    dtypes = {f"{layer}.weight": "F8_E4M3", "model.diffusion_model.scaled_fp8": "F8_E4M3"}
    described = json.dumps({"layers": {layer: {"format": format}}})
    metadata = {"_quantization_metadata": described} if format else None
    return inspect(write_headers(tmp_path / "q.safetensors", shapes, dtypes, metadata), [])


def test_a_plain_transformer(tmp_path: Path) -> None:
    report = inspect(write_headers(tmp_path / "x.safetensors", FULL, "BF16"), [])
    contents, identity = report.contents, report.identity
    assert contents and identity
    assert report.what == "a whole transformer of wan" and report.container == "safetensors"
    assert (contents.tensors, contents.naming, contents.prefix, contents.files) == (
        len(FULL),
        "upstream",
        "",
        1,
    )
    assert contents.bytes == 2 * contents.parameters
    assert [(d.dtype, d.tensors) for d in contents.dtypes] == [("BF16", len(FULL))]
    assert contents.sizes == {
        "dim": 256, "ffn_dim": 512, "num_layers": 2, "in_dim": 36, "out_dim": 16, "patch_size": (1, 2, 2),
        "freq_dim": 256, "text_dim": 32, "image_dim": 12, "image_positions": None, "num_heads": 2,
    }  # fmt: skip
    assert (contents.missing.count, contents.unexpected.count, report.problems) == (0, 0, ())
    assert report.needs == (
        "the plugin wancore-wan",
        "a VAE of 16 latent channels",
        "a UMT5 text encoder of width 32 and its tokenizer",
        "a CLIP image encoder of width 12",
    )
    assert identity.undecided == "belongs to no installed family"
    assert "magref" in identity.known.same_keys


def test_an_installed_family_answers_first(tmp_path: Path) -> None:
    shapes = {**FULL, "blocks.0.camera.weight": [2]}
    report = inspect(write_headers(tmp_path / "x.safetensors", shapes), [Camera()])
    assert report.what == "a transformer merged with a module of camera"
    assert report.identity and report.identity.family == Claim("merged", "camera", needs=("a camera path",))
    assert report.needs[:2] == ("a camera path", "a VAE of 16 latent channels")
    assert report.contents and report.contents.unexpected.count == 0


def test_missing_and_unknown_keys_are_counted(tmp_path: Path) -> None:
    shapes = {k: v for k, v in FULL.items() if ".norm_q" not in k}
    shapes |= {f"blocks.{i}.strange": [1] for i in range(9)}
    report = inspect(write_headers(tmp_path / "x.safetensors", shapes), [])
    assert report.contents
    assert report.contents.missing.count == 4 and len(report.contents.missing.first) == 4
    assert report.contents.unexpected.count == 9 and len(report.contents.unexpected.first) == 5
    assert "4 keys of the transformer are missing" in report.problems
    assert "9 keys belong to nothing that is known" in report.problems


def test_a_quantised_file_is_read_and_its_format_named(tmp_path: Path) -> None:
    report = quantised(tmp_path)
    assert report.what == "a whole transformer of wan" and report.problems == ()
    assert report.contents and report.contents.prefix == "model.diffusion_model."
    assert [(f.name, f.scheme, f.layers, f.readable) for f in report.contents.formats] == [
        ("fp8 e4m3 with one scale", "fp8_scaled", 1, True)
    ]
    assert report.contents.missing.count == report.contents.unexpected.count == 0


def test_a_format_that_is_not_read_is_named(tmp_path: Path) -> None:
    (problem,) = quantised(tmp_path, "unheard_w3a16").problems
    assert problem.startswith("1 layers are stored as ComfyUI unheard_w3a16, which is not read: accepted: ")


@pytest.mark.parametrize(
    ("start", "name"),
    [(b"PK\3\4", "PyTorch pickle (zip)"), (b"\x80\2", "PyTorch pickle")],
)
def test_files_of_other_kinds_are_reported_not_refused(tmp_path: Path, start: bytes, name: str) -> None:
    (tmp_path / "x.dat").write_bytes(start + bytes(30))
    report = inspect(tmp_path / "x.dat", [])
    assert (report.container, report.what) == (name, f"a {name} file")
    assert report.problems[0].startswith("is not read: ")


def test_components_and_modules(tmp_path: Path) -> None:
    report = inspect(vae(tmp_path / "vae.safetensors"), [])
    assert report.what == "a Wan 2.1 VAE file" and report.identity
    assert report.identity.components[0].width == 16 and report.needs == ()
    assert inspect(text_encoder(tmp_path / "t.safetensors"), []).what == "a UMT5 file"
    lora = inspect(write_headers(tmp_path / "l.safetensors", {"blocks.0.q.lora_up.weight": [2, 2]}), [])
    assert lora.what == "a LoRA file on other layers (1 block)" and lora.lora is not None
    assert lora.needs == ("the transformer it was made for",)
    module = inspect(
        write_headers(tmp_path / "m.safetensors", {"vace_blocks.0.after_proj.weight": [2, 2]}), []
    )
    assert module.what == "a module to put on a transformer of vace"
    assert module.needs == ("the plugin wancore-vace", "the transformer it was made for")
    unknown = inspect(write_headers(tmp_path / "u.safetensors", {"x": [2]}), [])
    assert (unknown.what, unknown.problems) == (
        "unknown weights",
        ("1 keys belong to nothing that is known",),
    )


def test_a_family_without_a_plugin_is_named(tmp_path: Path) -> None:
    report = inspect(write_headers(tmp_path / "x.safetensors", {"LQ_proj_in.norm1.gamma": [2]}), [])
    assert report.needs[0] == "a plugin for flashvsr, which is not known"


class Plain:
    """The family of the plain model."""

    id = "wan"

    def recognise(self, file: FileView) -> Claim | None:
        return Claim("base", "wan", general=True)


def test_a_name_that_speaks_of_another_family_is_a_problem(tmp_path: Path) -> None:
    shapes = wan_shapes(text_dim=32)
    report = inspect(write_headers(tmp_path / "Phantom-Wan_fp16.safetensors", shapes), [Plain()])
    assert report.problems == ("its name says phantom, which is not installed: the plugin wancore-phantom",)
    assert inspect(write_headers(tmp_path / "x.safetensors", shapes), [Plain()]).problems == ()


def test_the_number_of_heads_may_be_unknown(tmp_path: Path) -> None:
    path = write_headers(tmp_path / "diffusion_pytorch_model.safetensors", wan_shapes(dim=48))
    assert "the number of heads is unknown" in inspect(path, []).problems[0]
    write_json(tmp_path / "config.json", {"num_heads": 4})
    report = inspect(tmp_path, [])
    assert report.contents and report.contents.sizes["num_heads"] == 4 and report.problems == ()


def test_a_pipeline_is_reported_part_by_part(tmp_path: Path) -> None:
    report = inspect(pipeline(tmp_path), [])
    assert report.what == "a pipeline of several models" and report.parts
    assert report.parts["transformer"].what == "a whole transformer of wan"
    assert report.parts["VAE"].problems == ("holds no .safetensors or .gguf file",)


def test_two_experts_and_a_models_tree(tmp_path: Path, models: Path) -> None:
    for name in ("high_noise_model", "low_noise_model"):
        transformer(tmp_path / "a14b" / name / "diffusion_pytorch_model.safetensors")
    experts = inspect(tmp_path / "a14b", [])
    assert experts.what == "two experts of one model"
    assert set(experts.parts or ()) == {"transformer", "low-noise transformer"}
    tree = inspect(models, [])
    assert tree.what == "a folder of models" and "transformer: five.safetensors" in (tree.parts or {})


def test_what_is_malformed_or_missing_raises(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes((9).to_bytes(8, "little") + b"{broken")
    for path in (tmp_path / "x.safetensors", tmp_path / "none"):
        with pytest.raises(CheckpointError):
            inspect(path, [])


def test_a_report_becomes_json(tmp_path: Path) -> None:
    for report in (quantised(tmp_path), inspect(pipeline(tmp_path / "p"), [])):
        assert json.loads(json.dumps(report.as_json())) == report.as_json()
        assert report.as_json()["path"] == str(report.path)


def test_looking_needs_no_torch(tmp_path: Path) -> None:
    path = write_headers(tmp_path / "x.safetensors", FULL)
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from wancore.checkpoints.inspect import inspect\n"
        f"print(inspect({str(path)!r}, []).what)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.stdout.strip(), run.returncode) == ("a whole transformer of wan", 0), run.stderr
