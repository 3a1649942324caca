"""Makes tiny models with random weights, in the layouts that the released ones have on disk.

    python -m wancore.testing --kind t2v --out DIR [--layout diffusers] [--seed N]

For tests and demonstrations of the whole way from a prompt to frames without a download. Every part a
model comes with is there: transformer or two experts, VAE, text encoder with its tokenizer, image
encoder, preview decoder. Every weight follows from the seed, the part and its name, so a model is the
same everywhere and in both layouts.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

import numpy as np

from wancore.parity.seeded import weight
from wancore.testing.files import Arrays
from wancore.testing.kinds import KINDS, Layout
from wancore.testing.pipeline import write_pipeline
from wancore.testing.shapes import (
    Shapes,
    clip_shapes,
    preview_shapes,
    transformer_shapes,
    umt5_shapes,
    vae_shapes,
)
from wancore.testing.tokenizer import trained_tokenizer, vocabulary
from wancore.testing.upstream import write_upstream

#: Factors on weights. Attention to text is sharpened, or the few tokens of a prompt would be lost among
#: 500 rows of padding; decoders are toned down, or most pixels would be clipped.
SCALES = {"cross_attn.norm_q.weight": 3.0, "self_attn.norm_q.weight": 2.0, "decoder.head.2.weight": 0.5}


def make_tiny(kind: str, out: Path | str, seed: int = 0, layout: Layout = "upstream") -> Path:
    """Writes the model `kind` (a key of `KINDS`) into the folder `out`, which is made; returns it."""
    out, chosen = Path(out), KINDS[kind]
    tokenizer = trained_tokenizer()
    shapes = {
        "vae": vae_shapes(chosen.vae, chosen.channels),
        "text_encoder": umt5_shapes(vocabulary(tokenizer)),
        "preview": preview_shapes(chosen.channels, patch=2 if chosen.vae == "2.2" else 1),
        **({"image_encoder": clip_shapes()} if chosen.clip else {}),
        **{f"transformer{i}": transformer_shapes(chosen) for i in range(chosen.experts)},
    }
    parts = {part: drawn(names, f"{seed}.{part}") for part, names in shapes.items()}
    write = {"upstream": write_upstream, "diffusers": write_pipeline}[layout]
    write(out, chosen, parts, tokenizer)
    return out


def drawn(shapes: Shapes, stream: str) -> Arrays:
    """Weights that keep activations near 1."""
    return {
        name: np.asarray(weight(f"{stream}.{name}", shape) * np.float32(scale(name)))
        for name, shape in shapes.items()
    }


def scale(name: str) -> float:
    return next((factor for end, factor in SCALES.items() if name.endswith(end)), 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a tiny model with random weights.")
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--layout", choices=get_args(Layout), default="upstream")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(make_tiny(given.kind, given.out, given.seed, given.layout))
