"""Writing single files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

Arrays = Mapping[str, np.ndarray]


def save(file: Path, arrays: Arrays, dtype: torch.dtype = torch.float32) -> None:
    """A safetensors file; missing folders are made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: torch.from_numpy(array).to(dtype).contiguous() for name, array in arrays.items()}
    save_file(tensors, file, metadata={"format": "pt"})


def write_json(file: Path, document: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def write_tokenizer(folder: Path, model: bytes) -> None:
    """The SentencePiece model, and what `transformers` wants to know about it."""
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "T5Tokenizer",
            "extra_ids": 0,
            "pad_token": "<pad>",
            "eos_token": "</s>",
            "bos_token": "<s>",
            "unk_token": "<unk>",
        },
    )
    (folder / "spiece.model").write_bytes(model)
