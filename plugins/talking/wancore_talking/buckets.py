"""Sizes that the models were trained at, by the shape of the picture (MeiGen-AI/MultiTalk, `wan/configs`)."""

from __future__ import annotations

from typing import Literal

Resolution = Literal[480, 720]

#: (label: the ratio height / width that the choice is made by, height, width)
BUCKETS: dict[Resolution, tuple[tuple[float, int, int], ...]] = {
    480: (
        (0.26, 320, 1216), (0.38, 384, 1024), (0.50, 448, 896), (0.67, 512, 768), (0.82, 576, 704),
        (1.00, 640, 640), (1.22, 704, 576), (1.50, 768, 512), (1.86, 832, 448), (2.00, 896, 448),
        (2.50, 960, 384), (2.83, 1088, 384), (3.60, 1152, 320), (3.80, 1216, 320), (4.00, 1280, 320),
    ),
    720: (
        (0.22, 448, 2048), (0.29, 512, 1792), (0.36, 576, 1600), (0.45, 640, 1408), (0.55, 704, 1280),
        (0.63, 768, 1216), (0.76, 832, 1088), (0.88, 896, 1024), (1.00, 960, 960), (1.14, 1024, 896),
        (1.31, 1088, 832), (1.50, 1152, 768), (1.82, 1280, 704), (1.91, 1344, 704), (2.20, 1408, 640),
        (2.30, 1472, 640), (2.67, 1536, 576), (2.89, 1664, 576), (3.62, 1856, 512), (3.75, 1920, 512),
    ),
}  # fmt: skip


def bucket(height: int, width: int, resolution: Resolution) -> tuple[int, int]:
    """(height, width) of the bucket nearest in shape to a picture; the first of equally near ones."""
    ratio = height / width
    _, rows, columns = min(BUCKETS[resolution], key=lambda entry: abs(entry[0] - ratio))
    return rows, columns
