"""From a training's folder to a model folder.

    python -m tools.tiny.export build/tiny wancore/embedded/model

The folder is laid out like an upstream repository: the transformer with its config.json, and beside it
the VAE, the text encoder and the tokenizer.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tools.tiny.learn.flow import float8_names
from tools.tiny.learn.sizes import TRANSFORMER, fresh_transformer
from tools.tiny.learn.stages import FLOW_FILE, TEXT_FILE, TOKENIZER_FILE, VAE_FILE

TRANSFORMER_NAME = "diffusion_pytorch_model.safetensors"
VAE_NAME, TEXT_NAME = "vae.safetensors", "text_encoder.safetensors"
HEADER = {"format": "pt"}
ATTENTION, FEED = "layer.0.SelfAttention", "layer.1.DenseReluDense"
#: The text encoder's names in `transformers` -> upstream's.
TEXT_NAMES = (
    ("embed_tokens", "token_embedding"),
    (f"{ATTENTION}.relative_attention_bias", "pos_embedding.embedding"),
    (ATTENTION, "attn"),
    ("layer.0.layer_norm", "norm1"),
    ("layer.1.layer_norm", "norm2"),
    (f"{FEED}.wi_0", "ffn.gate.0"),
    (f"{FEED}.wi_1", "ffn.fc1"),
    (f"{FEED}.wo", "ffn.fc2"),
    ("final_layer_norm", "norm"),
)


def config() -> dict[str, Any]:
    """config.json: upstream's fields, and what this model is best run with."""
    sizes = TRANSFORMER
    return {
        "_class_name": "WanModel",
        "model_type": "ti2v",
        "dim": sizes.dim,
        "ffn_dim": sizes.ffn_dim,
        "num_heads": sizes.num_heads,
        "num_layers": sizes.num_layers,
        "in_dim": sizes.in_dim,
        "out_dim": sizes.out_dim,
        "freq_dim": sizes.freq_dim,
        "text_dim": sizes.text_dim,
        "text_len": sizes.text_len,
        "eps": sizes.eps,
        "wancore": {
            "defaults": {
                "width": 128,
                "height": 128,
                "frames": 33,
                "fps": 16,
                "steps": 14,
                "shift": 5.0,
                "guidance": [4.0],
                "negative_prompt": "",
            }
        },
    }


def export(trained: Path, folder: Path) -> int:
    """Writes the model folder; the bytes of its weights."""
    (folder / "tokenizer").mkdir(parents=True, exist_ok=True)
    save_file(transformer_weights(load_file(trained / FLOW_FILE)), folder / TRANSFORMER_NAME, HEADER)
    save_file(text_weights(load_file(trained / TEXT_FILE)), folder / TEXT_NAME, HEADER)
    save_file(load_file(trained / VAE_FILE), folder / VAE_NAME, HEADER)
    tokenizer = (trained / TOKENIZER_FILE).read_text(encoding="utf-8")
    (folder / "tokenizer" / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
    (folder / "config.json").write_text(json.dumps(config(), indent=2) + "\n", encoding="utf-8")
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def transformer_weights(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Under upstream's names, which are ours; the large matrices as float8 e4m3, as they were trained."""
    small = set(float8_names(fresh_transformer()))
    return {n: t.to(torch.float8_e4m3fn) if n in small else t.half() for n, t in weights.items()}


def text_weights(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    found = {}
    for name, tensor in weights.items():
        for theirs, ours in TEXT_NAMES:
            name = name.replace(theirs, ours)
        found[name.replace("block.", "blocks.", 1) if name.startswith("block.") else name] = tensor.half()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trained", type=Path, help="folder that tools.tiny.train wrote")
    parser.add_argument("folder", type=Path, help="where the model goes")
    args = parser.parse_args()
    print(f"{export(args.trained, args.folder) / 1e6:.2f} MB of weights in {args.folder}")


if __name__ == "__main__":
    main()
