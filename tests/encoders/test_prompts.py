from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wancore.encoders import clean_prompt, split_weights
from wancore.errors import InvalidInput

# A pass may decode one more level of an entity, and repair what the last pass made look broken; text
# without entities and without Latin-1 letters, which is what broken encodings consist of, is a fixed point.
PLAIN = st.characters(max_codepoint=0x7E, min_codepoint=0x20, exclude_characters="&")
without_entities = st.text(PLAIN | st.sampled_from("\n\t\u3000猫走，。「」“”‘’！"))


@given(text=without_entities)
@settings(deadline=None, max_examples=200)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    once = clean_prompt(text)
    assert clean_prompt(once) == once


@given(words=st.lists(st.text("abcäß猫", min_size=1)), gap=st.sampled_from([" ", "\n\t", "\u3000", "  "]))
@settings(deadline=None, max_examples=50)
def test_words_are_one_space_apart(words: list[str], gap: str) -> None:
    assert clean_prompt(gap + gap.join(words) + gap) == " ".join(words)


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [("，。！", ",。!"), ("&amp;lt;", "<"), ("< &amp;amp;lt;", "< &lt;"), ("schÃ¶n", "schön"), ("", "")],
)
def test_text_is_repaired_and_decoded_two_levels_deep(raw: str, cleaned: str) -> None:
    assert clean_prompt(raw) == cleaned


def test_weights_multiply_and_leave_the_text() -> None:
    prompt = split_weights("a (red:1.5) cat, (wet street:0.5)")
    assert prompt.text == "a red cat, wet street"
    assert prompt.weights == {"red": 1.5, "wet street": 0.5}
    assert prompt.factor == 0.75
    assert split_weights("none (at all)").factor == 1.0


def test_a_weight_that_is_no_number_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"prompt weight: got '1\.2\.3'; accepted: a decimal number"):
        split_weights("(cat:1.2.3)")
