from __future__ import annotations

from pathlib import Path

import pytest

from wancore.errors import CheckpointError, InvalidInput
from wancore.lora.find import find_lora, lora_names


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for name in (
        "style.safetensors",
        "wan/light x2v.safetensors",
        "peft/adapter_model.safetensors",
        "v1.5.safetensors",
    ):
        file = tmp_path / "loras" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("style", "style.safetensors"),
        ("style.safetensors", "style.safetensors"),
        ("wan/light x2v", "wan/light x2v.safetensors"),
        ("wan\\light x2v.safetensors", "wan/light x2v.safetensors"),
        ("peft", "peft/adapter_model.safetensors"),
        ("v1.5", "v1.5.safetensors"),
    ],
)
def test_names(models: Path, name: str, file: str) -> None:
    assert find_lora(models, name) == models / "loras" / file


def test_a_path_needs_no_models_folder(models: Path) -> None:
    file = models / "loras" / "style.safetensors"
    assert find_lora(None, str(file)) == file
    assert find_lora(None, str(models / "loras" / "peft")).name == "adapter_model.safetensors"


@pytest.mark.parametrize("name", ["stile", "../loras/style", "/none", "a\0b"])
def test_mistakes(models: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="lora"):
        find_lora(models, name)


def test_near_misses_are_named(models: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(InvalidInput, match="style"):
        find_lora(models, "stile")
    with pytest.raises(InvalidInput, match="holds none"):
        find_lora(tmp_path_factory.mktemp("empty"), "style")
    with pytest.raises(InvalidInput, match="models folder"):
        find_lora(None, "style")


def test_a_folder_of_several_files(models: Path) -> None:
    (models / "loras" / "wan" / "second.safetensors").touch()
    with pytest.raises(CheckpointError, match=r"holds 2 \.safetensors files"):
        find_lora(models, "wan")


def test_list(models: Path) -> None:
    assert list(lora_names(models)) == ["peft/adapter_model", "style", "v1.5", "wan/light x2v"]


def test_links_are_followed_and_lead_nowhere_twice(tmp_path: Path) -> None:
    elsewhere, loras = tmp_path / "disk", tmp_path / "models" / "loras"
    elsewhere.mkdir()
    loras.mkdir(parents=True)
    (elsewhere / "v1.2.safetensors").write_bytes(b"")
    (loras / "linked").symlink_to(elsewhere)
    (elsewhere / "up").symlink_to(loras)
    assert list(lora_names(tmp_path / "models")) == ["linked/v1.2"]
    assert find_lora(tmp_path / "models", "linked/v1.2") == loras / "linked" / "v1.2.safetensors"
