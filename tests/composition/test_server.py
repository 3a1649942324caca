"""Every task, every camera path and families together, through a running server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner
from wancore_client import Client, InvalidRequest, Refused, WancoreClientError
from wancore_client.cli import app
from wancore_recammaster.names import PRESETS

from plugins.recammaster.tests.making import make_merged as make_recammaster
from plugins.recammaster.tests.making import write_video
from plugins.talking.tests.tiny import speech, write_module, write_speech_encoder, write_wav
from plugins.vace.tests.making import make_merged, make_module, write_inputs
from plugins.vace.tests.tasks import TASKS
from tests.engine.tiny import Made, engine, small
from tests.server.harness import Server
from wancore.testing import make_tiny

QUICK = {"size": (64, 48), "frames": 9, "steps": 1, "seed": 7, "guidance": 1.0}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    base = make_tiny("t2v", root / "t2v")
    make_merged(base, root / "vace")
    make_recammaster(base, root / "recammaster")
    make_module(root / "diffusion_models" / "vace-module.safetensors")
    write_module(root / "diffusion_models", "infinitetalk").rename(
        root / "diffusion_models" / "audio-module.safetensors"
    )
    write_speech_encoder(base / "wav2vec2-chinese-base.safetensors")
    return root


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    speech_file = write_wav(folder / "speech.wav", speech(1.0))
    source = write_video(folder / "source.mp4", 9, 64, 48)
    return {**write_inputs(folder), "source": source, "speech": speech_file}


@pytest.fixture(scope="module")
def client(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    plugins = ("wan", "vace", "recammaster", "infinitetalk")
    server = Server(
        tmp_path_factory.mktemp("server"), plugins=plugins, worker_silence_s=10,
        worker_patience_s=60, watchdog_min_s=60, probe_s=60,
    )  # fmt: skip
    server.extra_environment = {"WANCORE_MODELS": str(models), "WANCORE_MODEL": "vace"}
    try:
        with server.start().client() as connected:
            server.ready(connected, 60)
            yield connected
    finally:
        server.end()


def frames(generation) -> np.ndarray:
    return np.stack([frame.pixels for frame in generation.frames()])


@pytest.mark.parametrize("task", TASKS)
def test_task(task: str, client: Client, files: dict[str, Path]) -> None:
    inputs, params = TASKS[task]
    paths = {role: files[name] for role, name in inputs.items()}
    made = frames(client.generate("a red ball", model="vace", inputs=paths, params=params, **QUICK))
    assert made.shape[0] == 9 and made.std() > 1


@pytest.mark.parametrize("preset", PRESETS)
def test_camera(preset: str, client: Client, files: dict[str, Path]) -> None:
    inputs, params = {"source_video": files["source"]}, {"camera": preset}
    made = frames(client.generate("a ball", model="recammaster", inputs=inputs, params=params, **QUICK))
    assert made.shape == (9, 48, 64, 3) and made.std() > 1


def references(files: dict[str, Path], **params: object) -> dict[str, object]:
    """VACE with a reference, attached."""
    inputs = {"reference[0]": files["portrait"]}
    return {"family": "vace", "modules": ["vace-module"], "inputs": inputs, "params": params}


def test_families_together(client: Client, models: Path, files: dict[str, Path]) -> None:
    """The frames are the engine's."""
    source = {"source_video": files["source"]}
    made = frames(
        client.generate(
            "a ball", model="recammaster", inputs=source, attachments=[references(files)], **QUICK
        )
    )
    use = {"name": "vace", "modules": [str(models / "diffusion_models" / "vace-module.safetensors")],
           "inputs": {"reference[0]": files["portrait"]}}  # fmt: skip
    expected = Made.of(
        engine().generate(
            small(
                models / "recammaster", inputs=source, attachments=[use],
                prompt="a ball", steps=1, guidance=(1.0,),
            )
        )
    )  # fmt: skip
    assert np.array_equal(made, expected.frames)


def test_a_talking_lead_on_a_text_model(client: Client, files: dict[str, Path]) -> None:
    """With VACE attached; alone it is refused, and the sentence says what is missing."""
    request: dict[str, Any] = {
        "model": "t2v", "family": "infinitetalk", "modules": ["audio-module"],
        "inputs": {"image": files["portrait"], "audio": files["speech"]},
    }  # fmt: skip
    made = frames(client.generate("a ball", attachments=[references(files)], **request, **QUICK))
    assert made.shape == (9, 48, 64, 3) and made.std() > 1
    with pytest.raises(Refused, match="text-to-video model with a family attached"):
        client.generate("a ball", **request, **QUICK).wait()


def test_from_the_client_s_command_line(
    client: Client, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANCORE_ADDRESS", client.connection.address)
    monkeypatch.setenv("WANCORE_TOKEN", client.connection.token)
    out = tmp_path / "out.rgb"
    given = ["generate", "--prompt", "a ball", "--model", "t2v", "--size", "64x48", "--frames", "9"]
    given += ["--steps", "1", "--seed", "7", "--guidance", "1", "--out", str(out)]
    attached = ["--attach", "vace:strength=0.5", "--module", "vace=vace-module"]
    attached += ["--input", f"vace/reference[0]={files['portrait']}"]
    done = CliRunner().invoke(app, [*given, *attached], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    use = references(files, strength=0.5)
    expected = frames(client.generate("a ball", model="t2v", attachments=[use], **QUICK))
    assert out.read_bytes() == expected.tobytes()
    lost = CliRunner().invoke(app, [*given, "--input", "vace/video=x.mp4"])
    assert lost.exit_code and "attached family" in str(lost.output) + str(lost.exception)


def test_an_attachment_s_fields_are_checked(client: Client, files: dict[str, Path]) -> None:
    use = references(files, strength=20)
    with pytest.raises(InvalidRequest) as caught:
        client.create("a ball", model="t2v", attachments=[use], validate_only=True, **QUICK)
    assert any("attachments" in field and "strength" in field for field in caught.value.fields)
    for wrong in ({"famly": "vace"}, {"modules": []}):
        with pytest.raises(WancoreClientError, match="attachments"):
            client.create("a ball", attachments=[wrong], **QUICK)


def test_declarations(client: Client) -> None:
    """What the server tells of a family is what its plugin declares."""
    family = client.family("vace")
    assert {"video", "mask", "reference", "context.video"} <= {d.role for d in family.inputs}
