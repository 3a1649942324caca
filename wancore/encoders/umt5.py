"""The UMT5 text encoder: key layouts, sizes from shapes, and the network of `transformers`.

Paper: UniMax / umT5 (arXiv 2304.09151). Unlike T5, every layer has a relative position bias of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from wancore.checkpoints import FileView
from wancore.checkpoints.keymap import KeyMap
from wancore.encoders.build import as_view, build, configured, declared
from wancore.encoders.keys import Layout, canonical, count, shape
from wancore.errors import CheckpointError

if TYPE_CHECKING:
    from transformers import UMT5Config

ATTENTION = "block.N.layer.0.SelfAttention"
FEED_FORWARD = "block.N.layer.1.DenseReluDense"
BIAS = "relative_attention_bias.weight"

UPSTREAM = Layout(
    anchor="token_embedding.weight",
    names=KeyMap.of(
        {
            "token_embedding.weight": "embed_tokens.weight",
            "blocks.N.{norm1,norm2}.weight": "block.N.layer.{0,1}.layer_norm.weight",
            "blocks.N.attn.{q,k,v,o}.weight": ATTENTION + ".{q,k,v,o}.weight",
            "blocks.N.pos_embedding.embedding.weight": f"{ATTENTION}.{BIAS}",
            "blocks.N.ffn.{gate.0,fc1,fc2}.weight": FEED_FORWARD + ".{wi_0,wi_1,wo}.weight",
            "norm.weight": "final_layer_norm.weight",
        },
        unused=["spiece_model"],
    ),
)
# Files of a whole UMT5 also hold its decoder. The one embedding goes by either name, or by both.
HUGGING_FACE_UNUSED = ["decoder.**", "lm_head.weight", "spiece_model"]
HUGGING_FACE = Layout(
    anchor="shared.weight",
    names=KeyMap.of(
        {"shared.weight": "embed_tokens.weight", "encoder.**": "**"},
        unused=["encoder.embed_tokens.weight", *HUGGING_FACE_UNUSED],
    ),
)
HUGGING_FACE_TIED = Layout(
    anchor="encoder.embed_tokens.weight",
    names=KeyMap.of({"encoder.**": "**"}, unused=HUGGING_FACE_UNUSED),
)
LLAMA_CPP = Layout(
    anchor="enc.output_norm.weight",
    names=KeyMap.of(
        {
            "token_embd.weight": "embed_tokens.weight",
            "enc.blk.N.{attn_norm,ffn_norm}.weight": "block.N.layer.{0,1}.layer_norm.weight",
            "enc.blk.N.attn_{q,k,v,o}.weight": ATTENTION + ".{q,k,v,o}.weight",
            "enc.blk.N.attn_rel_b.weight": f"{ATTENTION}.{BIAS}",
            "enc.blk.N.ffn_{gate,up,down}.weight": FEED_FORWARD + ".{wi_0,wi_1,wo}.weight",
            "enc.output_norm.weight": "final_layer_norm.weight",
        },
        unused=["dec.**"],
    ),
)
LAYOUTS = (UPSTREAM, HUGGING_FACE, HUGGING_FACE_TIED, LLAMA_CPP)


class Umt5(nn.Module):
    """The encoder stack; token ids in, hidden states out."""

    def __init__(self, stack: Any) -> None:
        super().__init__()
        self.stack = stack

    @property
    def width(self) -> int:
        return int(self.stack.config.d_model)

    @property
    def vocabulary(self) -> int:
        return int(self.stack.config.vocab_size)

    @property
    def device(self) -> torch.device:
        weight: torch.Tensor = self.stack.embed_tokens.weight
        return weight.device

    @torch.no_grad()
    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """ids, mask [B, L] (1 on real tokens) -> [B, L, width]; rows of padding hold nothing of use."""
        states: torch.Tensor = self.stack(input_ids=ids.long(), attention_mask=mask).last_hidden_state
        return states


def real_tokens(states: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
    """states [B, L, width], mask [B, L] -> for each of the B, its rows at real tokens [n, width]."""
    return [rows[kept] for rows, kept in zip(states, mask.bool().to(states.device), strict=True)]


def load_umt5(
    source: FileView | Path | str,
    *,
    dtype: torch.dtype = torch.bfloat16,
    device: torch.device | str = "cpu",
) -> Umt5:
    """The encoder from a file in any of the layouts above. Raises `CheckpointError`.

    float16 overflows in this network; it was trained and is run in bfloat16.
    """
    from transformers import UMT5EncoderModel

    view = canonical(as_view(source), LAYOUTS, "UMT5 text encoder")
    config = umt5_config(view)
    # Only the stack: its wrapper holds the embedding a second time, empty unless tied.
    return Umt5(build(lambda: UMT5EncoderModel(config).encoder, view, dtype, device))


def umt5_config(view: FileView) -> UMT5Config:
    """The sizes of the encoder in a view with canonical names."""
    from transformers import UMT5Config

    vocabulary, width = shape(view, "embed_tokens.weight", 2)
    layers = count(view, "block")
    check_biases(view, layers)
    buckets, heads = shape(view, f"{ATTENTION}.{BIAS}".replace("N", "0"), 2)
    inner, _ = shape(view, f"{ATTENTION}.q.weight".replace("N", "0"), 2)
    hidden, _ = shape(view, f"{FEED_FORWARD}.wi_1.weight".replace("N", "0"), 2)
    if heads < 1 or inner % heads:
        raise CheckpointError(view.path, f"has {heads} attention heads in a width of {inner}")
    sizes = {
        "vocab_size": vocabulary,
        "d_model": width,
        "d_kv": inner // heads,
        "d_ff": hidden,
        "num_layers": layers,
        "num_heads": heads,
        "relative_attention_num_buckets": buckets,
    }
    stated = declared(view.config or {}, ("relative_attention_max_distance", "layer_norm_epsilon"))
    return configured(view, UMT5Config, {**stated, **sizes})


def check_biases(view: FileView, layers: int) -> None:
    """Tells T5, which has one position bias for all layers, from UMT5."""
    biases = sum(name.endswith(BIAS) for name in view.entries)
    if layers > 1 and biases == 1:
        problem = f"is a T5 encoder (1 position bias for {layers} layers); accepted: UMT5, with one per layer"
        raise CheckpointError(view.path, problem)
