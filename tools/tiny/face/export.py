"""From a training's folder to the folder of the model that the infinitetalk plugin brings.

    python -m tools.tiny.face.export build/face plugins/infinitetalk/wancore_infinitetalk/model

Laid out like an upstream repository whose transformer holds the audio adapter; VAE, text encoder and
tokenizer are those of the engine's own model.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from tools.tiny.export import HEADER, TRANSFORMER_NAME
from tools.tiny.face.raster import render
from tools.tiny.face.scene import draw_face
from tools.tiny.face.sizes import TRANSFORMER, fresh_transformer
from tools.tiny.face.train import FACE_FILE, HEARING_FILE, IMAGE_FILE
from tools.tiny.learn.flow import float8_names
from tools.tiny.learn.sampling import pixels
from wancore.media.png import write_png

IMAGE_NAME, HEARING_NAME, PICTURE = "clip.safetensors", "wav2vec2.safetensors", "face.png"
PICTURE_SEED = 5


def config() -> dict[str, Any]:
    """config.json: upstream's fields."""
    sizes = TRANSFORMER
    return {
        "_class_name": "WanModel",
        "model_type": "i2v",
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
                "steps": 6,
                "shift": 5.0,
                "guidance": [1.0],
                "pictures": {"image": PICTURE},
            }
        },
    }  # fmt: skip


def export(trained: Path, folder: Path) -> int:
    """Writes the model folder; the bytes in it."""
    folder.mkdir(parents=True, exist_ok=True)
    small = set(float8_names(fresh_transformer()))
    weights = load_file(trained / FACE_FILE)
    stored = {n: t.to(torch.float8_e4m3fn) if n in small else t.half() for n, t in weights.items()}
    save_file(stored, folder / TRANSFORMER_NAME, HEADER)
    image = {f"vision_model.{name}": t for name, t in load_file(trained / IMAGE_FILE).items()}
    save_file(image, folder / IMAGE_NAME, HEADER)
    hearing = {f"wav2vec2.{name}": t for name, t in load_file(trained / HEARING_FILE).items()}
    save_file(hearing, folder / HEARING_NAME, HEADER)
    (folder / "config.json").write_text(json.dumps(config(), indent=2) + "\n", encoding="utf-8")
    face = draw_face(np.random.default_rng(PICTURE_SEED), 1)
    write_png(folder / PICTURE, pixels(render([face], torch.zeros(1, 1), 128))[0, 0])
    return sum(file.stat().st_size for file in folder.iterdir())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trained", type=Path, help="folder that tools.tiny.face.train wrote")
    parser.add_argument("folder", type=Path, help="where the model goes")
    args = parser.parse_args()
    print(f"{export(args.trained, args.folder) / 1e6:.2f} MB in {args.folder}")


if __name__ == "__main__":
    main()
