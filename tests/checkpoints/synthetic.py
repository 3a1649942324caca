"""Checkpoint files made for tests: real headers, data that is sparse zeros unless given."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wancore.checkpoints.header import BITS

Shapes = Mapping[str, Sequence[int]]


def write_headers(
    path: Path,
    shapes: Shapes,
    dtype: str | Mapping[str, str] = "F32",
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """A safetensors file with these tensors; `dtype` for all of them, or by name (F32 otherwise)."""
    document: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, shape in shapes.items():
        kind = dtype if isinstance(dtype, str) else dtype.get(name, "F32")
        start, end = end, end + math.prod(shape) * BITS[kind] // 8
        document[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [start, end]}
    path.parent.mkdir(parents=True, exist_ok=True)
    header = json.dumps(document).encode()
    return write_raw(path, header + b" " * (-len(header) % 8), end)


def write_raw(path: Path, header: bytes, data_size: int = 0) -> Path:
    """A file with this header, whatever it says, and `data_size` zero bytes (sparse)."""
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + data_size)
    return path


def write_json(path: Path, document: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def wan_shapes(
    dim: int = 256,
    ffn: int = 512,
    layers: int = 2,
    in_dim: int = 16,
    out_dim: int = 16,
    text_dim: int = 4096,
    clip: int | None = None,
    positions: int | None = None,
) -> dict[str, list[int]]:
    """Upstream names and shapes of a Wan transformer."""

    def layer(name: str, out: int, inner: int) -> dict[str, list[int]]:
        return {f"{name}.weight": [out, inner], f"{name}.bias": [out]}

    shapes = {"patch_embedding.weight": [dim, in_dim, 1, 2, 2], "patch_embedding.bias": [dim]}
    shapes |= layer("text_embedding.0", dim, text_dim) | layer("text_embedding.2", dim, dim)
    shapes |= layer("time_embedding.0", dim, 256) | layer("time_embedding.2", dim, dim)
    shapes |= layer("time_projection.1", 6 * dim, dim)
    for i in range(layers):
        block = f"blocks.{i}"
        shapes[f"{block}.modulation"] = [1, 6, dim]
        shapes |= {f"{block}.norm3.weight": [dim], f"{block}.norm3.bias": [dim]}
        for attention in ("self_attn", "cross_attn"):
            for name in "qkvo":
                shapes |= layer(f"{block}.{attention}.{name}", dim, dim)
            shapes |= {f"{block}.{attention}.norm_{name}.weight": [dim] for name in "qk"}
        if clip:
            for name in ("k_img", "v_img"):
                shapes |= layer(f"{block}.cross_attn.{name}", dim, dim)
            shapes[f"{block}.cross_attn.norm_k_img.weight"] = [dim]
        shapes |= layer(f"{block}.ffn.0", ffn, dim) | layer(f"{block}.ffn.2", dim, ffn)
    shapes |= {"head.modulation": [1, 2, dim], **layer("head.head", out_dim * 4, dim)}
    if clip:
        shapes |= {f"img_emb.proj.0.{leaf}": [clip] for leaf in ("weight", "bias")}
        shapes |= layer("img_emb.proj.1", clip, clip) | layer("img_emb.proj.3", dim, clip)
        shapes |= {f"img_emb.proj.4.{leaf}": [dim] for leaf in ("weight", "bias")}
    if clip and positions:
        shapes["img_emb.emb_pos"] = [1, positions, clip]
    return shapes
