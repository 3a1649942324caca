import pytest
import torch
from pydantic import BaseModel, Field

from wancore.errors import Conflict, InvalidInput
from wancore.sampling.guidance import UNGUIDED, Direction, Guidance, classifier_free
from wancore.sampling.method import (
    Method,
    MethodSpec,
    NoParameters,
    Run,
    check_together,
    method_at,
    needs_guidance,
    needs_one_direction,
)
from wancore.sampling.method_card import BEGIN, END, card, with_card
from wancore.sampling.parameters import Integers, Texts


def spec(name: str, owns: str = "", parameters: type[BaseModel] = NoParameters) -> MethodSpec:
    return MethodSpec(
        name, f"does {name}", parameters, lambda p, run: Method(), owns=owns, sources=("a paper",)
    )


def run_with(guidance: Guidance) -> Run:
    return Run(4, 3, 2, frozenset({"positive"}), guidance, lambda text: torch.empty(0))


def test_methods_that_need_the_same_thing_conflict():
    check_together([spec("a", "a cache"), spec("b", "the text"), spec("c")])
    with pytest.raises(Conflict, match="a and b cannot be combined: both need a cache"):
        check_together([spec("a", "a cache"), spec("b", "a cache")])


def test_a_method_named_twice_is_refused():
    with pytest.raises(InvalidInput, match="each method once"):
        check_together([spec("a"), spec("b"), spec("a")])


def test_methods_that_act_on_guidance_need_some():
    needs_guidance("x", run_with(classifier_free(4.0)))
    with pytest.raises(InvalidInput, match="guidance scale"):
        needs_guidance("x", run_with(UNGUIDED))


def test_methods_for_two_passes_refuse_three():
    needs_one_direction("x", run_with(classifier_free(4.0)))
    directions = (Direction(2.0, "d", "u"), Direction(3.0, "c", "d"))
    with pytest.raises(InvalidInput, match="the passes are u, d, c"):
        needs_one_direction("x", run_with(Guidance("u", directions, {"u": {}, "d": {}, "c": {}})))


def test_the_code_of_a_method_is_imported_when_it_is_made():
    make = method_at("wancore.sampling.method:NoSuchMethod")
    with pytest.raises(AttributeError):
        make(NoParameters(), run_with(UNGUIDED))


class Listed(BaseModel):
    blocks: Integers = Field((3,), description="which")
    share: float = Field(0.5, ge=0, le=1, description="how much")
    texts: Texts = Field(description="what")


def test_a_single_value_is_a_list_of_one():
    read = Listed.model_validate({"blocks": 7, "texts": "a cat, a dog"})
    assert read.blocks == (7,) and read.texts == ("a cat, a dog",)
    assert Listed.model_validate({"blocks": ["1", 2], "texts": []}).blocks == (1, 2)


def test_a_card_states_what_is_declared():
    text = card([spec("b", "the text", Listed), spec("a")])
    assert text.index("### a") < text.index("### b")
    assert "| `blocks` | whole numbers, `a;b` | 3 | which |" in text
    assert "| `share` | number, 0 to 1 | 0.5 | how much |" in text
    assert "| `texts` | texts, `a;b` | required | what |" in text
    assert "Needs the text for itself" in text


def test_a_page_keeps_what_is_around_the_card():
    page = f"# Title\n\n{BEGIN}\nold\n{END}\ntail\n"
    new = with_card(page, [spec("a")])
    assert new.startswith("# Title\n") and new.endswith(f"{END}\ntail\n")
    assert "old" not in new and with_card(new, [spec("a")]) == new
    with pytest.raises(ValueError, match="needs the lines"):
        with_card("# Title", [])
