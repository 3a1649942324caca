"""LoRAs through a running server: listed, named in requests, refused, held in memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from wancore_client import Client, InvalidRequest, NotFound, Refused, WancoreClientError

from tests.engine.tiny import Made, engine, small
from tests.lora.adapters import low_rank, write
from tests.server.harness import Server, eventually, health
from wancore.checkpoints.layout import find_parts
from wancore.testing import make_tiny
from wancore.transformer.load import load_transformer

QUICK = {"size": (64, 48), "frames": 5, "steps": 2, "seed": 7, "guidance": 1.0}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    base = load_transformer(find_parts(make_tiny("t2v", root / "t2v")).transformer)
    (root / "loras" / "High").mkdir(parents=True)
    write(root / "loras" / "High" / "Style_V2.safetensors", low_rank(base, rank=4, scale=0.5))
    odd = {"diffusion_model.blocks.0.self_attn.q.nonsense": base.blocks[0].self_attn.q.weight}
    write(root / "loras" / "odd.safetensors", odd)
    return root


@pytest.fixture(scope="module")
def shared(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Client]]:
    server = Server(
        tmp_path_factory.mktemp("server"), plugins=("wan",), worker_silence_s=10, worker_patience_s=60,
        watchdog_min_s=60, probe_s=60,
    )  # fmt: skip
    server.extra_environment = {"WANCORE_MODELS": str(models), "WANCORE_MODEL": "t2v"}
    try:
        with server.start().client() as client:
            server.ready(client, 60)
            yield server, client
    finally:
        server.end()


def test_they_are_listed_with_what_they_are(client: Client) -> None:
    listed = {lora.name: lora for lora in client.loras()}
    style = listed["loras/high-style_v2"]
    assert (style.display_name, style.problem) == ("High/Style_V2", "")
    assert style.description.startswith("a LoRA file of rank 4 for width 256, on self-attention")
    assert style.size_bytes > 1000
    assert listed["loras/odd"].problem and "/" not in listed["loras/odd"].problem


def test_the_frames_are_the_engine_s(client: Client, models: Path) -> None:
    """A schedule, filters, the file's own name; the same through the engine alone."""
    use = {"strength": (0.9, 0.3), "blocks": (0,), "drop": ("ffn",)}
    path = str(models / "loras" / "High" / "Style_V2.safetensors")
    generation = client.generate("a red ball", loras=[{"name": "High\\Style_V2.safetensors", **use}], **QUICK)
    frames = np.stack([frame.pixels for frame in generation.frames()])
    notes = [warning.message for warning in generation.warnings if warning.reason == "NOTE"]
    assert any("strength 0.9, 0.3 by step, blocks 0, without ffn" in note for note in notes)
    request = {"prompt": "a red ball", "frames": 5, "steps": 2, "guidance": (1.0,)}
    with_lora = Made.of(engine().generate(small(models / "t2v", **request, loras=[{"name": path, **use}])))
    plain = Made.of(engine().generate(small(models / "t2v", **request)))
    assert np.array_equal(frames, with_lora.frames) and not np.array_equal(frames, plain.frames)


def test_missing_is_refused_before_the_queue(client: Client) -> None:
    with pytest.raises(NotFound) as caught:
        client.create("a red ball", loras=[("high-style", 0.5)], **QUICK)
    assert caught.value.reason == "LORA_UNKNOWN" and "loras/high-style_v2" in str(caught.value)
    with pytest.raises(Refused) as unusable:
        client.create("a red ball", loras=["odd"], **QUICK)
    assert unusable.value.reason == "LORA_UNUSABLE"
    with pytest.raises(WancoreClientError, match="High/Style_V2"):
        client.create("a red ball", loras=["High/Style"], **QUICK)


@pytest.mark.parametrize(
    ("field", "value"),
    [("strengths", {"strength": (0.5, 2000.0)}), ("strengths", {"strength": float("nan")}),
     ("blocks", {"blocks": (10_000,)}), ("layers", {"layers": ("",)}), ("drop", {"drop": ("x" * 201,)})],
)  # fmt: skip
def test_wrong_fields_are_named(field: str, value: dict[str, object], client: Client) -> None:
    with pytest.raises(InvalidRequest) as caught:
        client.create("a red ball", loras=[{"name": "high-style_v2", **value}], **QUICK)
    assert list(caught.value.fields) == [f"spec.loras[0].{field}"]


def test_a_new_file_can_be_named_at_once_and_held(client: Client, models: Path) -> None:
    old = models / "loras" / "High" / "Style_V2.safetensors"
    new = models / "loras" / "new.safetensors"
    new.write_bytes(old.read_bytes())
    eventually(lambda: "loras/new" in {lora.name for lora in client.loras()})
    eventually(lambda: health(client, "wancore.v1.JobService"), 60)  # a worker is there to hold it
    assert client.load_lora("new") == ["workers/0"]
    eventually(lambda: [lora.name for lora in client.loras() if lora.resident_on] == ["loras/new"])
    held = client.generate("a red ball", loras=["new"], **QUICK)
    plain = client.generate("a red ball", loras=["high-style_v2"], **QUICK)
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(held.frames(), plain.frames(), strict=True))
    assert client.unload_lora("new") == ["workers/0"]
    eventually(lambda: not any(lora.resident_on for lora in client.loras()))
    new.unlink()
    eventually(lambda: "loras/new" not in {lora.name for lora in client.loras()})


def test_the_command(server: Server, tmp_path: Path) -> None:
    environment = server.environment() | {"WANCORE_ADDRESS": server.address, "WANCORE_TOKEN": server.token}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = "from wancore_client.cli import main; main()"
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)

    assert "high-style_v2" in run("loras").stdout
    size = ("--size", "64x48", "--frames", "5", "--steps", "2", "--seed", "1", "--out", "out")
    done = run("generate", "--prompt", "a ball", "--lora", "High/Style_V2:strength=0.5,blocks=0", *size)
    assert done.returncode == 0, done.stderr
    assert (
        "strength 0.5, blocks 0" in " ".join(done.stderr.split())
        and len(list((tmp_path / "out").glob("*.png"))) == 5
    )
    wrong = run("generate", "--lora", "style:speed=2", *size)
    assert wrong.returncode == 1 and "NAME:STRENGTH" in wrong.stderr
