"""Every task, every camera path and families together, through a running server."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from wancore_client import Client, InvalidRequest
from wancore_client.spec import job_spec
from wancore_proto.v1 import job_pb2, job_service_pb2
from wancore_recammaster.names import PRESETS

from plugins.recammaster.tests.making import make_merged as make_recammaster
from plugins.recammaster.tests.making import write_video
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
    return root


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    return {**write_inputs(folder), "source": write_video(folder / "source.mp4", 9, 64, 48)}


@pytest.fixture(scope="module")
def client(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    server = Server(
        tmp_path_factory.mktemp("server"), plugins=("wan", "vace", "recammaster"), worker_silence_s=10,
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


def attached(client: Client, files: dict[str, Path], **params: object) -> job_pb2.JobSpec:
    """ReCamMaster with VACE's references on it."""
    inputs = client.uploaded({"source_video": files["source"]})
    spec = job_spec("a ball", model="recammaster", inputs=inputs, **QUICK)
    use = spec.attachments.add(family="families/vace", modules=["models/vace-module"])
    use.inputs.update(client.uploaded({"reference[0]": files["portrait"]}))
    use.params.update(params)
    return spec


def test_families_together(client: Client, models: Path, files: dict[str, Path]) -> None:
    """The frames are the engine's."""
    request = job_service_pb2.CreateJobRequest(spec=attached(client, files), request_id=str(uuid.uuid4()))
    made = frames(client.watch(client.call(client.job_calls.CreateJob, request).name))
    use = {"name": "vace", "modules": [str(models / "diffusion_models" / "vace-module.safetensors")],
           "inputs": {"reference[0]": files["portrait"]}}  # fmt: skip
    expected = Made.of(
        engine().generate(
            small(
                models / "recammaster", inputs={"source_video": files["source"]}, attachments=[use],
                prompt="a ball", steps=1, guidance=(1.0,),
            )
        )
    )  # fmt: skip
    assert np.array_equal(made, expected.frames)


def test_an_attachment_s_fields_are_checked(client: Client, files: dict[str, Path]) -> None:
    spec = attached(client, files, strength=20)
    request = job_service_pb2.CreateJobRequest(spec=spec, request_id=str(uuid.uuid4()), validate_only=True)
    with pytest.raises(InvalidRequest) as caught:
        client.call(client.job_calls.CreateJob, request)
    assert any("attachments" in field and "strength" in field for field in caught.value.fields)


def test_declarations(client: Client) -> None:
    """What the server tells of a family is what its plugin declares."""
    family = client.family("vace")
    assert {"video", "mask", "reference", "context.video"} <= {d.role for d in family.inputs}
