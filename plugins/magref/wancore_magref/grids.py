"""How the canvas is divided; imported for help texts, so without torch."""

from __future__ import annotations

#: How many columns and rows of blocks a number of pictures takes; numbers between take the next.
GRIDS = {1: (1, 1), 2: (2, 1), 3: (3, 1), 4: (2, 2), 6: (3, 2), 8: (4, 2)}
MOST = max(GRIDS)


def grid_size(pictures: int) -> int:
    """Blocks for so many pictures: at least as many."""
    return next(size for size in GRIDS if size >= pictures)
