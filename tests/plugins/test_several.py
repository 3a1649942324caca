"""One file under its role, or several with numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wancore.errors import InvalidInput
from wancore.plugins.inputs import InputType, check_roles
from wancore.plugins.several import Several

PICTURES = Several("image", InputType.IMAGE, "pictures", most=4)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=4, unique=True))
def test_numbers_are_an_order(numbers):
    inputs = {f"image[{n}]": "x" for n in numbers} | {"mask": "m"}
    assert PICTURES.given(inputs) == [f"image[{n}]" for n in sorted(numbers)]


def test_both_ways_of_naming_are_declared():
    check_roles(PICTURES.specs, {"image": "x"}, "mine")
    check_roles(PICTURES.specs, {"image[0]": "x", "image[3]": "x"}, "mine")
    assert PICTURES.given({"image": "x"}) == ["image"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "got None; accepted: an image file, or image[0] to image[3]"),
        (["mask"], "an image file, or image[0] to image[3]"),
        (["image", "image[1]"], "got 'x'; accepted: nothing beside image[0], image[1], …"),
        ([f"image[{n}]" for n in range(5)], "got '5 pictures'; accepted: at most 4"),
    ],
)
def test_mistakes(names, said):
    with pytest.raises(InvalidInput) as caught:
        PICTURES.given(dict.fromkeys(names, "x"))
    assert caught.value.field == "inputs.image" and said in str(caught.value)
