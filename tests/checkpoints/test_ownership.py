"""Every key has exactly one owner."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.checkpoints.synthetic import wan_shapes, write_headers
from wancore.checkpoints import open_view
from wancore.checkpoints.ownership import BASE, Owner, base_owner, owned
from wancore.errors import CheckpointError

AUDIO = Owner("audio", ("blocks.N.audio_cross_attn.**", "audio_proj.**"), ignored=("audio_proj.kernel",))
EXTRA = {"blocks.0.audio_cross_attn.q.weight": [2], "audio_proj.a.weight": [2], "audio_proj.kernel": [2]}


def test_a_merged_file_falls_apart_into_its_owners(tmp_path: Path) -> None:
    view = open_view(write_headers(tmp_path / "x.safetensors", wan_shapes() | EXTRA))
    parts = owned(view, [base_owner(), AUDIO])
    assert set(parts[BASE].entries) == set(wan_shapes())
    assert set(parts["audio"].entries) == {"blocks.0.audio_cross_attn.q.weight", "audio_proj.a.weight"}


def test_left_over_keys_are_counted_and_a_few_named(tmp_path: Path) -> None:
    strangers = {f"blocks.{i}.strange.weight": [1] for i in range(40)}
    view = open_view(write_headers(tmp_path / "x.safetensors", wan_shapes() | strangers))
    message = "40 keys belonging to nothing (blocks.0.strange.weight, blocks.1.strange.weight, "
    with pytest.raises(CheckpointError, match=re.escape(message)) as error:
        owned(view, [base_owner(), AUDIO])
    assert "asked: base, audio" in str(error.value) and "blocks.9" not in str(error.value)


def test_keys_with_two_owners_name_both(tmp_path: Path) -> None:
    view = open_view(write_headers(tmp_path / "x.safetensors", wan_shapes() | EXTRA))
    other = Owner("speech", ("audio_proj.**",))
    with pytest.raises(CheckpointError, match=r"2 keys claimed by audio and speech \(audio_proj\.a"):
        owned(view, [base_owner(), AUDIO, other])
