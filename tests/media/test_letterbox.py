"""Pictures that keep their shape."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wancore.media.letterbox import letterboxed


@given(st.integers(1, 200), st.integers(1, 200))
def test_a_picture_keeps_its_shape(width, height):
    boxed = letterboxed(np.zeros((height, width, 3), np.uint8), 64, 48)
    rows, columns = (boxed == 0).all(-1).any(1).sum(), (boxed == 0).all(-1).any(0).sum()
    assert boxed.shape == (48, 64, 3) and (rows == 48 or columns == 64)
    assert abs(columns / rows - width / height) <= max(width / height, 1) * (1 / rows + 1 / columns)
