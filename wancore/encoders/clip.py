"""The CLIP image tower: key layouts, sizes from shapes, and the network of `transformers`.

Trained as the visual half of open-clip XLM-RoBERTa-Large-ViT-H-14. Video models take the tokens that
leave the last layer but one, without the closing norm, so the last layer is never built.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from wancore.checkpoints import FileView
from wancore.checkpoints.keymap import KeyMap
from wancore.encoders.build import as_view, build, configured, declared, head_count
from wancore.encoders.keys import Layout, canonical, count, shape
from wancore.errors import CheckpointError

if TYPE_CHECKING:
    from transformers import CLIPVisionConfig

HEAD_WIDTH = 80
LAYER = "encoder.layers.N"

UPSTREAM = Layout(
    anchor="visual.cls_embedding",
    names=KeyMap.of(
        {
            "visual.patch_embedding.weight": "embeddings.patch_embedding.weight",
            "visual.cls_embedding": "embeddings.class_embedding",
            "visual.pos_embedding": "embeddings.position_embedding.weight",
            "visual.{pre_norm,post_norm}.*": "{pre_layrnorm,post_layernorm}.*",  # the module's own spelling
            "visual.transformer.N.{norm1,norm2}.*": LAYER + ".{layer_norm1,layer_norm2}.*",
            "visual.transformer.N.attn.{to_qkv,proj}.*": LAYER + ".self_attn.{to_qkv,out_proj}.*",
            "visual.transformer.N.mlp.{0,2}.*": LAYER + ".mlp.{fc1,fc2}.*",
        },
        unused=["visual.head", "textual.**", "log_scale"],
    ),
)
HUGGING_FACE = Layout(
    anchor="vision_model.embeddings.class_embedding",
    names=KeyMap.of(
        {"vision_model.**": "**"},
        unused=[
            "vision_model.embeddings.position_ids",
            "{visual,text}_projection.weight",
            "text_model.**",
            "logit_scale",
        ],
    ),
)
# The module's own names.
BARE = Layout(anchor="embeddings.class_embedding", names=KeyMap.of({}, unused=["embeddings.position_ids"]))
LAYOUTS = (UPSTREAM, HUGGING_FACE, BARE)


class ClipVision(nn.Module):
    """The tower up to the last layer but one; normalised pixels in, tokens out."""

    def __init__(self, tower: Any) -> None:
        super().__init__()
        self.tower = tower

    @property
    def size(self) -> int:
        """Height and width of the input in pixels."""
        return int(self.tower.config.image_size)

    @property
    def device(self) -> torch.device:
        weight: torch.Tensor = self.tower.embeddings.class_embedding
        return weight.device

    @torch.no_grad()
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Normalised pixels [n, 3, size, size] -> [n, 1 + patches, width], the class token first."""
        tokens: torch.Tensor = self.tower(pixel_values=pixels).last_hidden_state
        return tokens


def load_clip(
    source: FileView | Path | str,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> ClipVision:
    """The tower from a file in any of the layouts above. Raises `CheckpointError`."""
    from transformers import CLIPVisionModel

    view = as_built(canonical(as_view(source), LAYOUTS, "CLIP image encoder"))
    config = clip_config(view)
    last = f"encoder.layers.{config.num_hidden_layers}."
    wanted = view.renamed({name: name for name in view.entries if not name.startswith(last)})
    tower = build(lambda: CLIPVisionModel(config), wanted, dtype, device)
    positions = tower.embeddings.position_embedding.num_embeddings
    ids = torch.arange(positions, device=device)[None]  # in no file
    tower.embeddings.register_buffer("position_ids", ids, persistent=False)
    return ClipVision(tower)


def as_built(view: FileView) -> FileView:
    """Upstream fuses q, k, v, and keeps the class token as [1, 1, D] and the positions as [1, n, D]."""
    fused = {
        name: [name.replace("to_qkv", f"{part}_proj") for part in "qkv"]
        for name in view.entries
        if ".self_attn.to_qkv." in name
    }
    singles = {"embeddings.class_embedding": 1, "embeddings.position_embedding.weight": 2}
    shapes = {name: view.shape(name)[-dims:] for name, dims in singles.items() if name in view}
    return view.split_rows(fused).reshaped(shapes)


def clip_config(view: FileView) -> CLIPVisionConfig:
    """The sizes of the tower without its last layer, from a view with canonical names."""
    from transformers import CLIPVisionConfig

    width, channels, patch, _ = shape(view, "embeddings.patch_embedding.weight", 4)
    positions, _ = shape(view, "embeddings.position_embedding.weight", 2)
    hidden, _ = shape(view, "encoder.layers.0.mlp.fc1.weight", 2)
    layers = count(view, "encoder.layers")
    side = math.isqrt(positions - 1)
    if side * side != positions - 1 or layers < 2:
        problem = (
            f"has {positions} positions and {layers} layers; accepted: a square and one, two or more layers"
        )
        raise CheckpointError(view.path, problem)
    stated = vision_part(view)
    usual = {
        "hidden_act": "gelu",
        "num_attention_heads": head_count(view, stated, "num_attention_heads", width, HEAD_WIDTH),
    }
    sizes = {
        "hidden_size": width,
        "intermediate_size": hidden,
        "num_hidden_layers": layers - 1,
        "num_channels": channels,
        "image_size": side * patch,
        "patch_size": patch,
    }
    return configured(view, CLIPVisionConfig, {**usual, **stated, **sizes})


def vision_part(view: FileView) -> dict[str, Any]:
    """What config.json says of the image tower; a whole CLIP states it one level down."""
    config = view.config or {}
    return declared(
        config.get("vision_config", config), ("num_attention_heads", "hidden_act", "layer_norm_eps")
    )
