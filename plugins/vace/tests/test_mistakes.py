"""What a user gets wrong is said before anything is loaded, or before anything is denoised."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from plugins.vace.tests import making
from tests.engine.tiny import engine, small
from wancore.errors import CheckpointError, InvalidInput, WancoreError
from wancore.testing import make_tiny


def refusal(request) -> WancoreError:
    with pytest.raises(WancoreError) as caught:
        next(engine().generate(request))
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("inputs", "params", "field", "accepted"),
    [
        ({}, {"task": "inpaint"}, "inputs.video", "video"),
        ({"video": "video"}, {"task": "inpaint"}, "inputs.mask", "mask or box"),
        ({"video": "video", "mask": "mask"}, {"task": "inpaint", "box": [0, 0, 8, 8]}, "inputs.mask", "one"),
        ({"mask": "mask"}, {}, "inputs.video", "belongs"),
        ({"image": "image"}, {}, "inputs.image", "does not read it"),
        ({"image": "image"}, {"task": "first_last"}, "inputs.last_video", "last_image"),
        ({}, {"task": "layout"}, "inputs.boxes", "boxes"),
        ({"second.video": "video"}, {}, "inputs.second.video", "params.second"),
        ({"context[0].video": "video"}, {}, "inputs.context[0].video", "params.contexts"),
        ({"reference_mask[0]": "mask"}, {}, "inputs.reference_mask[0]", "reference[0]"),
        ({"depth": "video"}, {}, "inputs.depth", "reference"),
        ({"video": "video"}, {"strength": 11}, "params.strength", "10"),
        ({"video": "video"}, {"start": 0.6, "end": 0.4}, "params", "above end"),
        ({"video": "video"}, {"layer_strengths": [1.0]}, "params.layer_strengths", "2 numbers"),
        ({"video": "video"}, {"task": "depth"}, "params.task", "inpaint"),
        ({"video": "video"}, {"speed": 1}, "params.speed", "strength"),
    ],
)
def test_fields(inputs, params, field, accepted, models, files):
    paths = {role: files[name] for role, name in inputs.items()}
    error = refusal(small(models.merged, inputs=paths, params=params))
    assert isinstance(error, InvalidInput)
    assert error.field.startswith(field) and accepted in error.accepted


@pytest.mark.parametrize(
    ("inputs", "params", "fields", "field"),
    [
        ({"video": "wide", "mask": "mask"}, {}, {}, "inputs.mask"),
        ({"video": "video"}, {"task": "first"}, {}, "inputs.video"),
        ({"video": "video"}, {"task": "keep", "keep": [20]}, {}, "params.keep"),
        ({"boxes": "mask"}, {"task": "layout"}, {}, "inputs.boxes"),
        ({"video": "video"}, {"strength": [1.0, 0.5]}, {}, "params.strength"),
        ({f"reference[{i}]": "image" for i in range(4)}, {}, {}, "inputs.reference"),
        (
            {"video": "wide", "second.image": "image"},
            {"task": "control", "second": {"task": "first"}},
            {},
            "params.second",
        ),
        (
            {"image": "image", "second.video": "video"},
            {"task": "move", "boxes": [[0, 0, 8, 8], [1, 1, 9, 9]], "second": {"task": "control"}},
            {},
            "params.task",
        ),
        ({"video": "video"}, {}, {"frames": 10}, "frames"),
        ({}, {}, {"size": "65x48"}, "size"),
        ({}, {}, {"guidance": (3.0, 4.0)}, "guidance"),
    ],
)
def test_what_only_the_files_tell(inputs, params, fields, field, models, files):
    paths = {role: files[name] for role, name in inputs.items()}
    with pytest.raises(InvalidInput) as caught:
        list(engine().generate(small(models.merged, inputs=paths, params=params, **fields)))
    assert caught.value.field == field


def test_an_image_model_is_no_base(tmp_path, models, files):
    base = make_tiny("i2v", tmp_path / "i2v")
    request = small(base, modules=(str(models.module),), inputs={"video": files["video"]})
    error = refusal(request)
    assert isinstance(error, CheckpointError)
    assert "text-to-video" in error.problem and "36" in error.problem


def test_a_module_alone_is_no_model(models):
    assert "beside its base model" in str(refusal(small(models.module)))


@pytest.mark.parametrize("layers", [[0], [0, 7], [1, 0], "0,1"])
def test_impossible_layers(layers, models, tmp_path, files):
    broken = making.make_merged(models.base, tmp_path / "broken")
    config = json.loads((broken / "config.json").read_text()) | {"vace_layers": layers}
    (broken / "config.json").write_text(json.dumps(config))
    error = refusal(small(broken, inputs={"video": files["video"]}))
    assert isinstance(error, CheckpointError) and "vace_layers" in error.problem


def test_a_missing_key_is_named(models, tmp_path):
    broken = making.make_merged(models.base, tmp_path / "broken")
    arrays = load_file(broken / making.FILE)
    arrays.pop("vace_blocks.1.ffn.2.bias")
    save_file(arrays, broken / making.FILE)
    with pytest.raises(CheckpointError, match=r"vace_blocks\.1\.ffn\.2\.bias|ffn\.2\.bias"):
        list(engine().generate(small(broken)))


def test_attached_to_itself(models):
    error = refusal(small(models.merged, attachments=[{"name": "vace"}], family="vace"))
    assert isinstance(error, InvalidInput) and error.field == "attachments"


def test_a_hidden_key_is_nobodys(models, tmp_path):
    broken = making.make_merged(models.base, tmp_path / "broken")
    save_file(load_file(broken / making.FILE) | {"vace_blocks.0.extra": np.ones(3)}, broken / making.FILE)
    assert "vace_blocks.0.extra" in str(refusal(small(broken)))
