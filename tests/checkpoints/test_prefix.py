"""Prefixes are decided by majority and peeled into a renamed view."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.checkpoints.synthetic import wan_shapes, write_headers
from wancore.checkpoints import open_view
from wancore.checkpoints.prefix import TRANSFORMER_PREFIXES, peel_prefix
from wancore.errors import CheckpointError

PLAIN = wan_shapes(dim=8, ffn=16, layers=1, text_dim=8)


@given(prefixes=st.lists(st.sampled_from(TRANSFORMER_PREFIXES), max_size=3))
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nested_prefixes_come_off(tmp_path: Path, prefixes: list[str]) -> None:
    prefix = "".join(prefixes)
    view = open_view(write_headers(tmp_path / "x.safetensors", {prefix + k: v for k, v in PLAIN.items()}))
    peeled = peel_prefix(view)
    assert peeled.prefix == prefix
    assert {k: list(peeled.view.shape(k)) for k in peeled.view.entries} == PLAIN


def test_the_majority_decides_and_the_rest_keeps_its_name(tmp_path: Path) -> None:
    shapes = {"scaled_fp8": [0], **{f"model.diffusion_model.{k}": v for k, v in PLAIN.items()}}
    peeled = peel_prefix(open_view(write_headers(tmp_path / "x.safetensors", shapes)))
    assert set(peeled.view.entries) == {*PLAIN, "scaled_fp8"}
    minority = {**PLAIN, "model.extra": [1]}
    peeled = peel_prefix(open_view(write_headers(tmp_path / "y.safetensors", minority)))
    assert peeled.prefix == "" and "model.extra" in peeled.view


def test_other_models_of_an_all_in_one_file_are_left_out(tmp_path: Path) -> None:
    others = {f"text_encoders.umt5.{i}": [1] for i in range(3 * len(PLAIN))} | {"vae.conv1.weight": [1]}
    shapes = {**others, **{f"model.diffusion_model.{k}": v for k, v in PLAIN.items()}}
    view = open_view(write_headers(tmp_path / "x.safetensors", shapes))
    assert set(peel_prefix(view).view.entries) == set(PLAIN)
    assert set(peel_prefix(view, ("vae.",)).view.entries) == set(shapes)


def test_compiled_segments_go_wherever_they_stand(tmp_path: Path) -> None:
    shapes = {"blocks.0._orig_mod.ffn.0.weight": [2, 2], "_orig_mod.head.modulation": [1]}
    view = peel_prefix(open_view(write_headers(tmp_path / "x.safetensors", shapes))).view
    assert set(view.entries) == {"blocks.0.ffn.0.weight", "head.modulation"}


def test_two_names_that_become_one_are_refused(tmp_path: Path) -> None:
    shapes = {"model.a": [1], "model.b": [1], "a": [1]}
    with pytest.raises(CheckpointError, match="would both be named 'a'"):
        peel_prefix(open_view(write_headers(tmp_path / "x.safetensors", shapes)))
