"""Claims of families, and the rule that decides between them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.checkpoints.synthetic import write_headers
from wancore.checkpoints import FileView, open_view
from wancore.checkpoints.claim import Claim, hinted
from wancore.checkpoints.recognise import decide, recognise
from wancore.errors import CheckpointError, PluginError


@dataclass
class Named:
    """A family that recognises files that hold its key."""

    id: str
    key: str

    def recognise(self, file: FileView) -> Claim | None:
        return Claim("base", self.id) if self.key in file else None


class Broken:
    id = "broken"

    def recognise(self, file: FileView) -> Claim | None:
        raise KeyError("oops")


@pytest.fixture
def view(tmp_path: Path) -> FileView:
    return open_view(write_headers(tmp_path / "x.safetensors", {"a": [1], "b": [1]}))


def test_every_family_is_asked(view: FileView) -> None:
    families = [Named("second", "b"), Named("none", "c"), Named("first", "a")]
    assert [claim.family for claim in recognise(view, families)] == ["first", "second"]


def test_a_family_that_fails_is_named(view: FileView) -> None:
    with pytest.raises(PluginError, match=r"broken failed to look at .*KeyError"):
        recognise(view, [Broken()])


PATH = Path("x.safetensors")
PLAIN = Claim("base", "plain", alternatives=("twin",), general=True)
PLAIN_BY_NAME = Claim("base", "plain", alternatives=("twin",), general=True, decided_by="hint")
TWIN = Claim("base", "twin", alternatives=("plain",), decided_by="hint")
SURE = Claim("merged", "sure")
SOLE = Claim("base", "plain", general=True)


@pytest.mark.parametrize(
    ("claims", "family"),
    [
        ([SURE], "sure"),
        ([PLAIN, SURE], "sure"),
        ([TWIN, SURE], "sure"),
        ([PLAIN, TWIN], "twin"),
        ([PLAIN_BY_NAME, TWIN], "twin"),
        ([PLAIN_BY_NAME], "plain"),
        ([SOLE, TWIN], "twin"),
        ([SOLE, Claim("base", "twin", alternatives=("plain",))], "plain"),
        ([SOLE, Claim("base", "twin", alternatives=("plain",), general=True)], "plain"),
        ([Claim("base", "plain", alternatives=("twin",), decided_by="config")], "plain"),
    ],
)
def test_the_better_reason_wins(claims: list[Claim], family: str) -> None:
    assert decide(claims, PATH).family == family
    assert decide(claims[::-1], PATH).family == family


def test_families_with_the_same_keys_are_never_guessed() -> None:
    with pytest.raises(CheckpointError, match=r"its keys fit plain, twin; say which with --family"):
        decide([PLAIN], PATH)
    other = Claim("base", "other", alternatives=("twin",), decided_by="hint")
    with pytest.raises(CheckpointError, match="its keys fit other, twin"):
        decide([TWIN, other], PATH)
    with pytest.raises(CheckpointError, match="its keys fit also, sure"):
        decide([SURE, Claim("merged", "also")], PATH)


def test_the_user_s_choice_decides_if_the_keys_allow_it() -> None:
    assert decide([PLAIN, TWIN], PATH, "plain") is PLAIN
    with pytest.raises(CheckpointError, match="is not a file of other; its keys fit plain, twin"):
        decide([PLAIN, TWIN], PATH, "other")
    with pytest.raises(CheckpointError, match="belongs to no installed family"):
        decide([], PATH)


@pytest.mark.parametrize(
    ("path", "word", "said"),
    [
        ("Wan2_2-T2V-A14B-HIGH_fp8.safetensors", "high", True),
        ("wan_flow.safetensors", "low", False),
        ("Wan2.2-T2V-A14B/low_noise_model", "low", True),
        ("Phantom-Wan/diffusion_pytorch_model-00001-of-00002.safetensors", "phantom", True),
        ("phantom/other/x.safetensors", "phantom", False),
        ("Phantom-Diffusers/transformer/diffusion_pytorch_model.safetensors", "phantom", True),
        ("Wan2_1-I2V-ATI-14B_fp8.safetensors", "ati", True),
        ("animation.safetensors", "ati", False),
    ],
)
def test_hints_are_whole_words_of_the_telling_name(path: str, word: str, said: bool) -> None:
    assert hinted(Path("/models") / path, word) is said
