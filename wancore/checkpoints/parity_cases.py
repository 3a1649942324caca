"""Golden cases: real files through the real loader, and the arithmetic of linear layers."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wancore.checkpoints.base import transformer_config
from wancore.checkpoints.canonical import in_diffusers_names, to_canonical
from wancore.checkpoints.layer_formats import found_formats
from wancore.checkpoints.open import open_view
from wancore.checkpoints.prefix import peel_prefix
from wancore.checkpoints.view import FileView
from wancore.parity import Case, Result
from wancore.quant import Linear, dense_weight
from wancore.quant.arithmetic import MODES
from wancore.quant.scaled import Activations, ScaledWeight
from wancore.transformer.canvas import Canvas
from wancore.transformer.layout import build_layout
from wancore.transformer.load import load_transformer
from wancore.transformer.model import WanTransformer
from wancore.transformer.predict import EmbeddedText, Inputs, predict

#: What config.json would say of a model whose file tells only shapes.
STATED = ("num_heads", "text_len", "eps")
UPSTREAM_TEXT_ROWS = 512


@torch.no_grad()
def checkpoint(case: Case) -> Result:
    """A file as users have it: what is detected, every weight dequantised, and one prediction."""
    name = case.meta["files"][0]
    path = case.file(name)
    if (path / "model_index.json").is_file():
        path = path / "transformer"
    stored = open_view(path)
    peeled = peel_prefix(stored)
    view = to_canonical(peeled.view)
    if view.config is None:
        view = replace(view, config={field: case.config[field] for field in STATED})
    model = load_transformer(view, dtype=None)
    weights = dict(dense_weights(model))
    outputs = {name: sample(name, weights) for name in case.expected if name != "y"}
    if "y" in case.expected:
        outputs["y"] = prediction(case, load_transformer(view, dtype=torch.float32))
    facts = {
        "sha256": {name: sha256(tensor) for name, tensor in weights.items()},
        "detect": detected(stored, peeled.prefix, view),
    }
    return Result(outputs, facts)


def dense_weights(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Every weight of a loaded model in float32, quantised layers dequantised."""
    quantised = {name for name, layer in model.named_modules() if isinstance(layer, Linear)}
    for name in quantised:
        yield f"{name}.weight", dense_weight(model.get_submodule(name))
    for name, tensor in model.state_dict().items():
        if not any(name.startswith(f"{layer}.weight") for layer in quantised):
            yield name, tensor.float()


def sha256(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.contiguous().numpy().astype("<f4").tobytes()).hexdigest()


def sample(output: str, weights: Mapping[str, Tensor]) -> Tensor:
    """`w.<key>`: a whole weight; `head.<type>.<key>`: its first 1024 values."""
    what, _, key = output.partition(".")
    if what == "w":
        return weights[key]
    return weights[key.partition(".")[2]].flatten()[:1024]


def detected(stored: FileView, prefix: str, view: FileView) -> dict[str, Any]:
    """What the headers tell."""
    config = transformer_config(view)
    image = config.image_dim
    found: dict[str, Any] = {
        "dim": config.dim,
        "ffn_dim": config.ffn_dim,
        "freq_dim": config.freq_dim,
        "in_dim": config.in_dim,
        "model_type": "i2v" if image is not None else "t2v",
        "num_layers": config.num_layers,
        "out_dim": config.out_dim,
        "prefix": prefix,
        "text_dim": config.text_dim,
    }
    schemes = Counter({one.scheme: one.layers for one in found_formats(stored)})
    if schemes:
        found["quant"] = "gguf" if "gguf" in schemes else schemes.most_common(1)[0][0]
    if stored.config is not None:
        found["num_heads"] = config.num_heads
    if in_diffusers_names(stored):
        found["layout"] = "diffusers"
    return found | ({"clip_dim": image} if image is not None else {})


def prediction(case: Case, model: WanTransformer) -> Tensor:
    """The velocity of the case's latents, with text padded to the model's length."""
    latents = case.inputs["x"]
    frames, rows, columns = (n // p for n, p in zip(latents.shape[1:], model.config.patch_size, strict=True))
    layout = build_layout(Canvas(frames, rows, columns), model.frequencies)
    return predict(model, Inputs(latents, case.inputs["t"], layout, embedded_text(case, model)))


def embedded_text(case: Case, model: WanTransformer) -> EmbeddedText:
    """Text padded to the case's length, which not every config.json tells, and image tokens.

    Upstream takes all but the last 512 rows for image tokens, whatever the length of the text. In a model
    with a shorter one, as only cases have it, the later image tokens are then read as text.
    """
    text = model.embed_text(case.inputs["context"], case.config["text_len"])
    if "clip_fea" not in case.inputs:
        return EmbeddedText(text, None, model.text_keys(text))
    rows = torch.cat((model.embed_image(case.inputs["clip_fea"][0]), text))
    split = len(rows) - UPSTREAM_TEXT_ROWS
    return EmbeddedText(rows[split:], rows[:split], model.text_keys(rows[split:], rows[:split]))


def quant_linear(case: Case) -> Mapping[str, Tensor]:
    """One layer in several arithmetics; fp8 bits come as uint8."""
    inputs = case.inputs
    x, bias = inputs["x"], inputs["bias"]
    dense = torch.from_numpy(case.weights()["quant_linear.weight"])
    whole = fp8_weight(case, "fp8_tensor")
    static = ScaledWeight(whole.format, whole.codes, whole.scale, Activations(float(inputs["input_scale"])))
    channel = fp8_weight(case, "fp8_channel")
    int8 = ScaledWeight("int8", inputs["int8_channel.weight"], inputs["int8_channel.scale"])
    runs = {
        "weight_only": (whole, "weight-only"),
        "fast_static1": (whole, "fp8-static"),
        "fast_input_scale": (static, "fp8-static"),
        "fp8_token_channel": (channel, "fp8-token"),
        "int8_token_channel": (int8, "int8-token"),
    }
    outputs = {name: Linear(weight, bias, MODES[mode].arithmetic)(x) for name, (weight, mode) in runs.items()}
    return outputs | {"unquantised": F.linear(x, dense, bias)}


def fp8_weight(case: Case, name: str) -> ScaledWeight:
    codes = case.inputs[f"{name}.weight"].view(torch.float8_e4m3fn)
    return ScaledWeight("fp8 e4m3", codes, case.inputs[f"{name}.scale"])
