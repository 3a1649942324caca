"""The wav2vec 2.0 speech encoder (arXiv 2006.11477): waveform to one vector per 20 ms and level."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from einops import rearrange
from torch import nn

from wancore.checkpoints import FileView
from wancore.checkpoints.jsonfile import read_json
from wancore.checkpoints.keymap import KeyMap
from wancore.encoders.audio import check_waveform, resample_frames
from wancore.encoders.build import as_view, build, configured, declared, head_count, levels
from wancore.encoders.keys import Layout, canonical, count, shape
from wancore.encoders.wav2vec2_long import STRETCH, stretched_features

if TYPE_CHECKING:
    from transformers import Wav2Vec2Config

HEAD_WIDTH = 64
POSITIONS = "encoder.pos_conv_embed.conv"
STRIDES = (5, 2, 2, 2, 2, 2, 2)  # of every released model; shapes do not tell
STATED = (
    "conv_stride",
    "do_stable_layer_norm",
    "feat_extract_activation",
    "feat_extract_norm",
    "hidden_act",
    "layer_norm_eps",
    "num_attention_heads",
)


# torch < 2.0 called the two parts of a weight-normed weight `weight_g` and `weight_v`.
OLD_NAMES = {POSITIONS + ".weight_{g,v}": POSITIONS + ".parametrizations.weight.original{0,1}"}
BARE = Layout(
    anchor="feature_projection.projection.weight",
    names=KeyMap.of(OLD_NAMES, unused=["masked_spec_embed"]),
)
# With the rest of the model as pretrained, or as tuned to recognise speech.
PREFIXED = Layout(
    anchor="wav2vec2.feature_projection.projection.weight",
    names=KeyMap.of(
        {**{f"wav2vec2.{theirs}": ours for theirs, ours in OLD_NAMES.items()}, "wav2vec2.**": "**"},
        unused=["wav2vec2.masked_spec_embed", "lm_head.*", "quantizer.**", "{project_hid,project_q}.*"],
    ),
)
LAYOUTS = (PREFIXED, BARE)


class Wav2Vec2Encoder(nn.Module):
    """The network without its heads."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    @property
    def device(self) -> torch.device:
        weight: torch.Tensor = self.network.feature_projection.projection.weight
        return weight.device

    @torch.no_grad()
    def conv_features(self, waveform: torch.Tensor) -> torch.Tensor:
        """Samples [S], normalised or not as the model was trained -> [T, C], about 50 per second.

        Raises `InvalidInput` for audio that is not mono or too short for one feature (400 samples).
        """
        config = self.network.config
        reach, stride = receptive_field(config.conv_kernel, config.conv_stride), math.prod(config.conv_stride)
        check_waveform(waveform, reach)
        samples = waveform[None].to(self.network.feature_projection.projection.weight)
        if samples.shape[1] <= stride * STRETCH:
            features: torch.Tensor = self.network.feature_extractor(samples)
        else:
            features = stretched_features(self.network.feature_extractor, samples, stride, reach)
        return rearrange(features, "1 c t -> t c")

    @torch.no_grad()
    def hidden_states(self, features: torch.Tensor) -> torch.Tensor:
        """Convolution features [T, C] -> [levels, T, D]: the embedding, then the output of every layer.

        Where the network closes with a norm (pre-norm models), the last level is normed.
        """
        projected, _ = self.network.feature_projection(features[None])
        encoder = self.network.encoder
        states = levels(encoder.layers, lambda: encoder(projected).last_hidden_state)
        return torch.cat(states)

    def forward(self, waveform: torch.Tensor, frames: int | None = None) -> torch.Tensor:
        """Samples [S] -> hidden states [levels, T, D].

        `frames`: resamples the convolution features to so many (one per video frame), before they
        are projected, as upstream's audio-driven models do.
        """
        features = self.conv_features(waveform)
        return self.hidden_states(features if frames is None else resample_frames(features, frames))


def receptive_field(kernels: list[int], strides: list[int]) -> int:
    """The number of samples that make one feature."""
    samples = 1
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        samples = (samples - 1) * stride + kernel
    return samples


def load_wav2vec2(
    source: FileView | Path | str,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Wav2Vec2Encoder:
    """A wav2vec2 encoder from a folder with config.json or a single file. Raises `CheckpointError`."""
    from transformers import Wav2Vec2Model

    view = canonical(as_view(source), LAYOUTS, "wav2vec2 encoder")
    config = wav2vec2_config(view)
    return Wav2Vec2Encoder(build(lambda: Wav2Vec2Model(config), view, dtype, device, False))


def normalises(source: Path | str) -> bool:
    """Whether samples are normalised (`normalise_waveform`) before this encoder reads them.

    As preprocessor_config.json beside the weights says; yes without one, as the released models have it.
    """
    path = Path(source)
    stated = (path if path.is_dir() else path.parent) / "preprocessor_config.json"
    return bool(read_json(stated).get("do_normalize", True)) if stated.is_file() else True


def wav2vec2_config(view: FileView) -> Wav2Vec2Config:
    """Sizes from the shapes; the rest from config.json, else as in the released models."""
    from transformers import Wav2Vec2Config

    stated = declared(view.config or {}, STATED)
    sizes = sizes_of(view)
    heads = head_count(view, stated, "num_attention_heads", sizes["hidden_size"], HEAD_WIDTH)
    training_only = {"mask_time_prob": 0.0, "mask_feature_prob": 0.0, "apply_spec_augment": False}
    fields = {**usual(view), **stated, **sizes, **training_only, "num_attention_heads": heads}
    return configured(view, Wav2Vec2Config, fields)


def usual(view: FileView) -> dict[str, Any]:
    """Released models that norm all their convolutions are also the pre-norm ones."""
    every_layer_normed = "feature_extractor.conv_layers.1.layer_norm.weight" in view
    return {
        "conv_stride": list(STRIDES),
        "feat_extract_norm": "layer" if every_layer_normed else "group",
        "do_stable_layer_norm": every_layer_normed,
    }


def sizes_of(view: FileView) -> dict[str, Any]:
    conv = "feature_extractor.conv_layers"
    kernels = [shape(view, f"{conv}.{i}.conv.weight", 3) for i in range(count(view, conv))]
    positions = shape(view, f"{POSITIONS}.parametrizations.weight.original1", 3)
    width, _ = shape(view, "feature_projection.projection.weight", 2)
    return {
        "hidden_size": width,
        "intermediate_size": shape(view, "encoder.layers.0.feed_forward.intermediate_dense.weight", 2)[0],
        "num_hidden_layers": count(view, "encoder.layers"),
        "conv_dim": [kernel[0] for kernel in kernels],
        "conv_kernel": [kernel[2] for kernel in kernels],
        "conv_bias": f"{conv}.0.conv.bias" in view,
        "num_conv_pos_embeddings": positions[2],
        "num_conv_pos_embedding_groups": width // positions[1],
    }
