"""What a user gets wrong: one sentence that names the field, the value and what is accepted."""

from __future__ import annotations

import shutil

import pytest

from tests.engine.tiny import engine, small
from wancore.errors import CheckpointError, InvalidInput, WancoreError
from wancore.request import parse_request


def refusal(request) -> WancoreError:
    """The error of a request, which must come before anything is loaded."""
    with pytest.raises(WancoreError) as caught:
        next(engine().generate(request))
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("fields", "field", "accepted"),
    [
        ({"size": "65x48"}, "size", "multiples of 16"),
        ({"frames": 10}, "frames", "4n + 1"),
        ({"solver": "heun"}, "solver", "unipc"),
        ({"methods": [{"name": "magic"}]}, "methods", "one of"),
        ({"params": {"strength": 1}}, "params.strength", "max_area"),
        ({"inputs": {"mask": "m.png"}}, "inputs.mask", "image"),
        ({"guidance": (3.0, 4.0)}, "guidance", "one scale"),
        ({"attachments": [{"name": "nobody"}]}, "attachments", "installed"),
    ],
)
def test_bad_field(fields, field, accepted, tiny):
    error = refusal(small(tiny("t2v"), **fields))
    assert isinstance(error, InvalidInput)
    assert error.field == field
    assert accepted in error.accepted


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"frames": 0}, "frames"),
        ({"steps": -1}, "steps"),
        ({"seed": 2**63}, "seed"),
        ({"size": "big"}, "size"),
        ({"shift": 0}, "shift"),
        ({"guidance": [float("nan")]}, "guidance.0"),
        ({"guidance": [1.0, -1.0]}, "guidance.1"),
        ({"guidance": [1e9]}, "guidance.0"),
        ({"guidance": []}, "guidance"),
        ({"promt": "typo"}, "promt"),
        ({"prompt": "x" * 20_000}, "prompt"),
    ],
)
def test_bad_value(fields, field):
    with pytest.raises(InvalidInput) as caught:
        parse_request({"model": "m", **fields})
    assert caught.value.field == field


def test_missing_image(tiny):
    error = refusal(small(tiny("i2v")))
    assert error.field == "inputs.image" and "image file" in error.accepted


def test_missing_last_image(tiny, image):
    assert refusal(small(tiny("flf2v"), inputs={"image": image("a")})).field == "inputs.last_image"


def test_image_for_a_text_model(tiny, image):
    error = refusal(small(tiny("t2v"), inputs={"image": image("a")}))
    assert error.field == "inputs.image" and "takes no image" in error.accepted


def test_image_that_is_none(tiny, tmp_path):
    path = tmp_path / "text.png"
    path.write_text("not a picture")
    error = refusal(small(tiny("i2v"), inputs={"image": path}))
    assert error.field == "inputs.image" and str(path) in str(error)


def test_unknown_model(tmp_path):
    error = refusal(small(tmp_path / "nowhere"))
    assert isinstance(error, CheckpointError) and "no such file" in str(error)


def test_no_model_at_all(monkeypatch):
    request = parse_request({"prompt": "x"})
    assert request.model is None


def test_truncated_checkpoint(tiny, tmp_path):
    broken = shutil.copytree(tiny("t2v"), tmp_path / "broken")
    weights = broken / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    error = refusal(small(broken))
    assert isinstance(error, CheckpointError) and "truncated" in str(error)


def test_mislabelled_checkpoint(tiny, tmp_path):
    """A VAE in the transformer's place."""
    wrong = shutil.copytree(tiny("t2v"), tmp_path / "wrong")
    shutil.copy(wrong / "Wan2.1_VAE.safetensors", wrong / "diffusion_pytorch_model.safetensors")
    assert isinstance(refusal(small(wrong)), CheckpointError)


def test_wrong_family(tiny):
    error = refusal(small(tiny("t2v"), family="vace"))
    assert "vace" in str(error) and "wan" in str(error)


def test_a_file_named_after_another_family(tiny, tmp_path):
    """Its keys are the base model's, its name is of a family that is not there: no guess."""
    model = shutil.copytree(tiny("t2v"), tmp_path / "set")
    weights = (model / "diffusion_pytorch_model.safetensors").rename(model / "Phantom-Wan-1.3B.safetensors")
    settings = {
        "vae": model / "Wan2.1_VAE.safetensors",
        "text_encoder": next(model.glob("models_t5*")),
        "tokenizer": model / "google" / "umt5-xxl",
        "disabled_plugins": ("phantom",),
    }
    with pytest.raises(CheckpointError, match=r"name of phantom.*--family wan"):
        next(engine(**settings).generate(small(weights)))
    assert next(engine(**settings).generate(small(weights, family="wan"))).family == "wan"


def test_too_large_for_the_memory(tiny, monkeypatch):
    from wancore.checkpoints import memory

    monkeypatch.setattr(memory, "available_memory", lambda: 1000)
    events = engine().generate(small(tiny("t2v")))
    next(events)
    with pytest.raises(CheckpointError, match="are free"):
        next(events)


def test_noise_levels_beside_steps():
    with pytest.raises(InvalidInput, match="sigmas"):
        parse_request({"model": "m", "sigmas": (1.0, 0.0), "steps": 3})


def test_missing_vae(tiny, tmp_path):
    bare = shutil.copytree(tiny("t2v"), tmp_path / "bare")
    (bare / "Wan2.1_VAE.safetensors").unlink()
    assert "VAE" in str(refusal(small(bare)))


def test_vae_of_another_model(tiny, tmp_path):
    other = next(tiny("ti2v").glob("*VAE*.safetensors"))
    with pytest.raises(CheckpointError, match="latent channels"):
        next(engine(vae=other).generate(small(tiny("t2v"))))
