"""The tiny models are what the real loaders, and other programs, take for models."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from wancore.checkpoints.layout import find_parts
from wancore.checkpoints.parts import Part, Parts
from wancore.encoders import TextEncoder, load_image_encoder, load_text_encoder
from wancore.testing import make_tiny
from wancore.testing.kinds import KINDS
from wancore.transformer.canvas import Canvas
from wancore.transformer.layout import build_layout
from wancore.transformer.load import load_transformer
from wancore.transformer.model import WanTransformer
from wancore.transformer.predict import EmbeddedText, Inputs, predict
from wancore.vae import load_preview, load_vae

Make = Callable[..., Path]

LAYOUTS = ("upstream", "diffusers")
PROMPTS = [
    "a red cat runs through the rain",
    "镜头切换，色调艳丽，过曝",
    "Ünïcode 🎬 and words nobody listed",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory):
    """(kind, layout) -> the model's folder, made when first asked for."""
    root = tmp_path_factory.mktemp("tiny")
    return cache(lambda kind, layout="upstream": make_tiny(kind, root / f"{kind}-{layout}", layout=layout))


def files(root: Path) -> dict[str, bytes]:
    return {str(f.relative_to(root)): f.read_bytes() for f in sorted(root.rglob("*")) if f.is_file()}


def experts(parts: Parts) -> list[WanTransformer]:
    paths = [parts.require("transformer"), parts.transformer_2]
    return [load_transformer(path) for path in paths if path is not None]


def text_encoder(parts: Parts) -> TextEncoder:
    return load_text_encoder(parts.require("text_encoder"), parts.require("tokenizer"), dtype=torch.float32)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def velocity(model: WanTransformer, latents: Tensor, text: Tensor, image: Tensor | None = None) -> Tensor:
    canvas = Canvas(latents.shape[1], latents.shape[2] // 2, latents.shape[3] // 2)
    embedded = EmbeddedText.of(model, text, image)
    return predict(
        model, Inputs(latents, torch.tensor([700.0]), build_layout(canvas, model.frequencies), embedded)
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_part_is_found(folder: Make, kind: str, layout: str) -> None:
    parts = find_parts(folder(kind, layout))
    expected: set[Part] = {"transformer", "vae", "text_encoder", "tokenizer"}
    expected |= {"transformer_2"} if KINDS[kind].experts == 2 else set()
    expected |= {"image_encoder"} if KINDS[kind].clip else set()
    expected |= {"preview"} if layout == "upstream" else set()
    assert {part for part, paths in parts.found.items() if paths} == expected
    assert all(parts.optional(part) for part in expected)
    assert not parts.refused
    assert parts.boundary_ratio == (KINDS[kind].boundary if layout == "diffusers" else None)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_transformers_heed_the_prompt_and_the_image(folder: Make, kind: str) -> None:
    parts = find_parts(folder(kind))
    contexts = text_encoder(parts).encode(PROMPTS)
    images: list[Tensor | None] = [None]
    if KINDS[kind].clip:
        pictures = [noise(3, 40, 70, seed=i).clamp(-1, 1) for i in range(2 if KINDS[kind].positions else 1)]
        images = [load_image_encoder(parts.require("image_encoder")).encode(pictures).flatten(0, 1)]
        images.append(torch.zeros_like(images[0]))
    for model in experts(parts):
        assert model.config.head_dim == 128
        latents = noise(KINDS[kind].in_dim, 3, 4, 6)
        outputs = [velocity(model, latents, text, image) for text in contexts for image in images]
        assert all(v.isfinite().all() for v in outputs)
        assert all(0.3 < v.std() < 3 for v in outputs)
        for i, one in enumerate(outputs):
            assert all((one - other).std() > 0.03 for other in outputs[i + 1 :])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].experts == 2])
def test_experts_differ(folder: Make, kind: str) -> None:
    high, low = experts(find_parts(folder(kind)))
    assert not torch.equal(high.head.head.weight, low.head.head.weight)


@pytest.mark.parametrize("kind", ["t2v", "ti2v"])
@torch.no_grad()
def test_autoencoders_give_pictures(folder: Make, kind: str) -> None:
    vae = load_vae(find_parts(folder(kind)).require("vae"))
    assert (vae.latent_channels, vae.spatial_stride) == ((48, 16) if kind == "ti2v" else (16, 8))
    video = vae.decode(noise(vae.latent_channels, 2, 3, 4), clamp=False)
    assert 0.1 < video.std() < 0.6
    assert (video.abs() > 1).float().mean() < 0.1
    assert (video[:, 1:] - video[:, :-1]).std() > 0.02
    latent = vae.encode(video.clamp(-1, 1))
    assert 0.1 < latent.std() < 2


@pytest.mark.parametrize("kind", ["t2v", "ti2v"])
@torch.no_grad()
def test_previews_give_pictures(folder: Make, kind: str) -> None:
    preview = load_preview(find_parts(folder(kind)).require("preview"))
    pictures = preview.decode(noise(preview.latent_channels, 2, 3, 4))
    assert pictures.std() > 0.02
    assert (pictures > 0).float().mean() > 0.3


def test_any_text_has_tokens(folder: Make) -> None:
    tokenizer = text_encoder(find_parts(folder("t2v"))).tokenizer
    unknown = 3
    assert all(unknown not in tokenizer(prompt) for prompt in PROMPTS)
    assert tokenizer("")[-1] == 1
    assert len(tokenizer(PROMPTS[0])) < len(PROMPTS[0]) / 2  # words, not bytes


@pytest.mark.parametrize("kind", ["flf2v", "ti2v"])
def test_both_layouts_hold_the_same_model(folder: Make, kind: str) -> None:
    one, other = (states(find_parts(folder(kind, layout))) for layout in LAYOUTS)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def states(parts: Parts) -> dict[str, Tensor]:
    """Every tensor of every part, under its module's names."""
    modules = {
        "transformer": load_transformer(parts.require("transformer")),
        "vae": load_vae(parts.require("vae")).network,
        "text_encoder": text_encoder(parts).model,
    }
    if parts.image_encoder:
        modules["image_encoder"] = load_image_encoder(parts.image_encoder).model
    return {
        f"{part}.{name}": t for part, module in modules.items() for name, t in module.state_dict().items()
    }


def test_a_model_follows_from_its_seed(tmp_path: Path) -> None:
    first, again, other = (
        files(make_tiny("t2v", tmp_path / name, seed)) for name, seed in (("a", 5), ("b", 5), ("c", 6))
    )
    assert first == again
    same = {name for name in first if first[name] == other[name]}
    assert same == {"config.json", "google/umt5-xxl/spiece.model", "google/umt5-xxl/tokenizer_config.json"}


def test_as_a_command(folder: Make, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "wancore.testing", "--kind", "t2v", "--out", str(tmp_path)]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    assert files(tmp_path) == files(folder("t2v"))


@pytest.mark.parametrize("kind", ["flf2v", "ti2v"])
@pytest.mark.parametrize(
    ("name", "part"), [("AutoencoderKLWan", "vae"), ("WanTransformer3DModel", "transformer")]
)
def test_diffusers_loads_its_layout(folder: Make, kind: str, name: str, part: str) -> None:
    model = getattr(pytest.importorskip("diffusers"), name)
    path = folder(kind, "diffusers") / part
    module = model.from_config(model.load_config(path))
    module.load_state_dict(load_file(path / "diffusion_pytorch_model.safetensors"))  # strict


@pytest.mark.parametrize(
    ("name", "part"), [("UMT5EncoderModel", "text_encoder"), ("CLIPVisionModel", "image_encoder")]
)
def test_transformers_loads_its_layout(folder: Make, name: str, part: str) -> None:
    import transformers

    _, report = getattr(transformers, name).from_pretrained(
        folder("flf2v", "diffusers") / part, output_loading_info=True
    )
    assert not any(report.values()), report
