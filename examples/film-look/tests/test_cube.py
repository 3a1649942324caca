"""Reading and applying colour tables."""

from __future__ import annotations

import pytest
import torch
from film_look.cube import read_cube
from hypothesis import given, settings
from hypothesis import strategies as st


def written(path, size, colour, head=""):
    levels = [i / (size - 1) for i in range(size)]
    lines = [" ".join(map(str, colour(r, g, b))) for b in levels for g in levels for r in levels]
    path.write_text(f'TITLE "a table"\n# a comment\n{head}LUT_3D_SIZE {size}\n\n' + "\n".join(lines))
    return read_cube(path)


@settings(max_examples=20)
@given(size=st.integers(2, 6), seed=st.integers(0, 99))
def test_a_table_of_a_linear_map_is_that_map(size, seed, tmp_path_factory):
    """Between levels it interpolates; which axis is which colour shows."""
    mix = torch.rand(3, 3, generator=torch.Generator().manual_seed(seed))
    table = written(
        tmp_path_factory.mktemp("cube") / "x.cube", size, lambda *rgb: (mix @ torch.tensor(rgb)).tolist()
    )
    frames = 2 * torch.rand(3, 2, 4, 5, generator=torch.Generator().manual_seed(seed + 1)) - 1
    wanted = 2 * torch.einsum("ij,jnhw->inhw", mix, (frames + 1) / 2) - 1
    assert torch.allclose(table(frames), wanted, atol=1e-5)
    assert torch.allclose(table(frames, 0.25), torch.lerp(frames, wanted, 0.25), atol=1e-5)


def test_a_domain_of_its_own(tmp_path):
    """Levels from 0.25 to 0.75; colours beyond take the nearest."""
    head = "DOMAIN_MIN 0.25 0.25 0.25\nDOMAIN_MAX 0.75 0.75 0.75\n"
    table = written(tmp_path / "x.cube", 2, lambda r, g, b: (r, g, b), head)
    grey = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0]).expand(3, 1, 1, 5)
    assert torch.allclose(table(grey)[0, 0, 0], torch.tensor([-1.0, -1.0, 0.0, 1.0, 1.0]), atol=1e-6)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "LUT_3D_SIZE is missing"),
        ("LUT_1D_SIZE 2\n0 0 0\n1 1 1", "line 1: expected three numbers"),
        ("LUT_3D_SIZE 500", "2 to 128"),
        ("LUT_3D_SIZE 2\n0 0 0", "has 1 colours; a table of size 2 has 8"),
        ("LUT_3D_SIZE 2\n0 0 red", "line 2"),
        ("LUT_3D_SIZE 2\n0 0 nan", "line 2: a colour is not finite"),
        ("LUT_3D_SIZE 2\nDOMAIN_MIN 1 1 1\n" + "0 0 0\n" * 8, "is not below"),
        ("\x00\x01", "line 1"),
    ],
)
def test_mistakes(text, said, tmp_path):
    path = tmp_path / "x.cube"
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        read_cube(path)
