"""ggml's tensor types: their numbers in a file, and how many bytes a block of how many elements takes.

Source: ggml-org/llama.cpp `ggml.h`, `ggml-common.h`. All are listed, so that a file with one that is not
read can still be inspected.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GgmlLayout:
    """`size` bytes for `elements` values."""

    name: str
    elements: int
    size: int


#: Types that are ordinary numbers, by safetensors' spelling.
PLAIN = {
    0: GgmlLayout("F32", 1, 4),
    1: GgmlLayout("F16", 1, 2),
    24: GgmlLayout("I8", 1, 1),
    25: GgmlLayout("I16", 1, 2),
    26: GgmlLayout("I32", 1, 4),
    27: GgmlLayout("I64", 1, 8),
    28: GgmlLayout("F64", 1, 8),
    30: GgmlLayout("BF16", 1, 2),
}
BLOCKS = {
    2: GgmlLayout("Q4_0", 32, 18),
    3: GgmlLayout("Q4_1", 32, 20),
    6: GgmlLayout("Q5_0", 32, 22),
    7: GgmlLayout("Q5_1", 32, 24),
    8: GgmlLayout("Q8_0", 32, 34),
    9: GgmlLayout("Q8_1", 32, 40),
    10: GgmlLayout("Q2_K", 256, 84),
    11: GgmlLayout("Q3_K", 256, 110),
    12: GgmlLayout("Q4_K", 256, 144),
    13: GgmlLayout("Q5_K", 256, 176),
    14: GgmlLayout("Q6_K", 256, 210),
    15: GgmlLayout("Q8_K", 256, 292),
    16: GgmlLayout("IQ2_XXS", 256, 66),
    17: GgmlLayout("IQ2_XS", 256, 74),
    18: GgmlLayout("IQ3_XXS", 256, 98),
    19: GgmlLayout("IQ1_S", 256, 50),
    20: GgmlLayout("IQ4_NL", 32, 18),
    21: GgmlLayout("IQ3_S", 256, 110),
    22: GgmlLayout("IQ2_S", 256, 82),
    23: GgmlLayout("IQ4_XS", 256, 136),
    29: GgmlLayout("IQ1_M", 256, 56),
    34: GgmlLayout("TQ1_0", 256, 54),
    35: GgmlLayout("TQ2_0", 256, 66),
    39: GgmlLayout("MXFP4", 32, 17),
}
LAYOUTS = {**PLAIN, **BLOCKS}
QUANTISED = frozenset(layout.name for layout in BLOCKS.values())
