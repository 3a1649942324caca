"""Loading a transformer."""

from __future__ import annotations

from pathlib import Path

import torch

from wancore.checkpoints.base import transformer_config
from wancore.checkpoints.canonical import open_transformer
from wancore.checkpoints.load import load_module
from wancore.checkpoints.view import FileView
from wancore.kernels.attention import Attend, sdpa
from wancore.transformer.fp8 import join_linears, use_fp8
from wancore.transformer.model import WanTransformer


def load_transformer(
    source: FileView | Path | str,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    attend: Attend = sdpa,
    fp8: bool = False,
    quantise_on: torch.device | str | None = None,
) -> WanTransformer:
    """A base transformer from a file, a folder, or a view with canonical names.

    `dtype`: what to compute in (None: as stored). `fp8`: the linears of the blocks in fp8 (fp8.py), one
    layer at a time, so that the device never holds the model in floats; `quantise_on`: where that is
    computed, None for `device`. Raises `CheckpointError`.
    """
    view = source if isinstance(source, FileView) else open_transformer(source)
    config = transformer_config(view)
    with torch.device("meta"):
        model = WanTransformer(config, attend)
    load_module(model, view, dtype=dtype, device="cpu" if fp8 else device)
    if fp8:
        use_fp8(model, device, computed_on=quantise_on)
        model.to(device)
    if torch.device(device).type == "cuda":
        join_linears(model)
    return model.eval()
