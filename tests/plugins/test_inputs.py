"""Declared inputs and parameters, and what is said about those that do not fit."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, Field

from wancore.cli.catalogue import default_of, value_of
from wancore.errors import InvalidInput
from wancore.plugins.inputs import (
    InputSpec,
    InputType,
    OwnType,
    check_own_types,
    check_roles,
    parse_parameters,
)

SPECS = (
    InputSpec("video", InputType.VIDEO, "a video"),
    InputSpec("reference", InputType.IMAGE, "pictures", many=True),
    InputSpec("context.mask", InputType.MASK, "masks", many=True),
)


def problem(*given: str, specs: tuple[InputSpec, ...] = SPECS) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        check_roles(specs, dict.fromkeys(given, "x"), "mine")
    return caught.value


def test_roles_are_named_as_a_request_has_to():
    check_roles(SPECS, {"video": "x", "reference[3]": "x", "context[12].mask": "x"}, "mine")
    assert [spec.usage for spec in SPECS] == ["video", "reference[0]", "context[0].mask"]
    assert all(spec.matches(spec.usage) for spec in SPECS)


@pytest.mark.parametrize(
    ("given", "meant"),
    [("reference", "reference[0]"), ("vido", "video"), ("context.mask", "context[0].mask")],
)
def test_the_nearest_role_is_told(given, meant):
    error = problem(given)
    assert error.field == f"inputs.{given}"
    assert error.accepted.startswith(f"{meant}, or another of the inputs of mine: video, reference[0]")
    assert not problem("qwertz").accepted.startswith(meant)


def test_what_is_missing_is_named_with_its_index():
    required = (InputSpec("reference", InputType.IMAGE, "pictures", required=True, many=True),)
    assert problem(specs=required).field == "inputs.reference[0]"


def test_own_types_are_read_early(tmp_path):
    kind = OwnType("beats", "numbers", lambda path: [float(word) for word in path.read_text().split()])
    specs = (InputSpec("beats", kind, "where to cut", many=True),)
    assert specs[0].type_name == "beats"
    (tmp_path / "good").write_text("1 2")
    (tmp_path / "bad").write_text("1 two")
    check_own_types(specs, {"beats[0]": tmp_path / "good"})
    for name, said in (("bad", "two"), ("nowhere", "No such file")):
        with pytest.raises(InvalidInput, match="numbers") as caught:
            check_own_types(specs, {"beats[1]": tmp_path / name})
        assert caught.value.field == "inputs.beats[1]" and said in str(caught.value)


class Parameters(BaseModel, extra="forbid"):
    mode: str | int = Field(default=3, ge=1)
    share: float | tuple[float, ...] = 0.5
    on: bool = False


def test_problems_are_told_in_plain_words():
    with pytest.raises(InvalidInput) as caught:
        parse_parameters(Parameters, {"share": "much"})
    assert caught.value.accepted == "a number, or a list"


def test_an_attachment_says_whose_field_it_is():
    error = problem("vido")
    error.attachment = "vace"
    assert str(error).startswith("vace: inputs.vido: got")


def test_parameters_in_a_listing():
    fields = Parameters.model_json_schema()["properties"]
    assert [value_of(fields[name]) for name in ("mode", "share", "on")] == ["N", "N", "true|false"]
    assert default_of(fields["share"]) == " (default: 0.5)"
    assert value_of({"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}]}) == "a|b"
    assert value_of({"type": "array"}) == "…" and default_of({"default": None}) == ""
