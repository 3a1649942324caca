"""Forward goldens of families, through the product and the adapters of this folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.transformer.adapters.infinitetalk import Audio, InfiniteTalk
from tests.transformer.adapters.recammaster import ReCamMaster, source_segment
from tests.transformer.adapters.scail import Masks, Scail, Start
from tests.transformer.adapters.standin import StandIn
from tests.transformer.adapters.vace import Vace
from wancore.checkpoints import load_module, open_view
from wancore.parity.case import Case
from wancore.transformer.attached import Attached, Scope
from wancore.transformer.canvas import Canvas, Segment
from wancore.transformer.config import TransformerConfig
from wancore.transformer.layout import build_layout
from wancore.transformer.model import WanTransformer
from wancore.transformer.predict import EmbeddedText, Inputs, predict

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (ROOT / "tests/golden", ROOT.parent / "shared/golden")
PATTERNS = (
    "recammaster/forward*", "vace/forward*", "infinitetalk/transformer*", "multitalk/transformer*",
    "standin/two_pass*", "scail/*forward*",
)  # fmt: skip


def files() -> list[Path]:
    """The picks beside the tests, then whatever else the full collection holds."""
    found: dict[str, Path] = {}
    for folder in FOLDERS:
        for pattern in PATTERNS:
            for file in sorted(folder.glob(pattern + ".safetensors")):
                found.setdefault(str(file.relative_to(folder)), file)
    return list(found.values())


@dataclass(frozen=True)
class Loaded:
    """A case with its base model and one adapter, both from the same checkpoint."""

    case: Case
    model: WanTransformer
    adapter: Any

    @classmethod
    def of(cls, case: Case, make: Callable[[TransformerConfig], nn.Module]) -> Loaded:
        config = base_config(case)
        with torch.device("meta"):
            model, adapter = WanTransformer(config), make(config)
        owned = set(model.state_dict())
        with case.checkpoint() as folder:
            view = open_view(folder)
            load_module(model, view.renamed({k: k for k in view.entries if k in owned}))
            load_module(adapter, view.renamed({k: k for k in view.entries if k not in owned}))
        return cls(case, model, adapter)

    def predict(
        self,
        latents: Tensor,
        t: Tensor,
        text: Tensor,
        data: Any,
        image: Tensor | None = None,
        segments: tuple[Segment, ...] = (),
        attached: Attached | None = None,
        scope: Scope | None = None,
        origin: float = 0,
    ) -> Tensor:
        """One velocity, with the adapter in the slot `own`."""
        canvas = Canvas(latents.shape[1], latents.shape[2] // 2, latents.shape[3] // 2, origin=origin)
        layout = build_layout(
            canvas, self.model.frequencies, None, segments, frame_levels=self.adapter.frame_levels
        )
        embedded = EmbeddedText.of(self.model, text, image, self.case.config.get("text_len", len(text)))
        inputs = Inputs(latents, t, layout, embedded, segments, {"own": data}, scope or Scope())
        return predict(self.model, inputs, attached or self.attached())

    def attached(self) -> Attached:
        return Attached({"own": self.adapter}, self.model.config.num_layers)


def base_config(case: Case) -> TransformerConfig:
    """The base's shape from the case's configuration and the shapes of its keys."""
    c, keys = case.config, case.meta["keys"]
    image = keys.get("img_emb.proj.0.weight")
    return TransformerConfig(
        c["dim"], c["ffn_dim"], c["num_heads"], c["num_layers"],
        keys["patch_embedding.weight"][1], keys["head.head.weight"][0] // 4,
        freq_dim=c["freq_dim"], text_dim=c["text_dim"], image_dim=image[0] if image else None,
    )  # fmt: skip


def recammaster(case: Case) -> Mapping[str, Tensor]:
    loaded = Loaded.of(case, lambda c: ReCamMaster(c.dim, c.num_layers))
    (x,), (source,) = case.inputs["x"], case.inputs["source_latents"]
    segments = (source_segment(loaded.model, source),)
    t, (text,), camera = case.inputs["timestep"], case.inputs["context"], case.inputs["camera"]
    target = loaded.predict(x, t, text, camera, segments=segments)
    # A segment has no velocity; as a canvas of twice as many frames the source half has one too.
    full = loaded.predict(torch.cat((x, source), 1), t, text, camera.repeat(2, 1))
    return {"target": target[None], "full": full[None]}


def vace(case: Case) -> Mapping[str, Tensor]:
    channels, layers = case.config["vace_in_dim"], case.config["vace_layers"]
    loaded = Loaded.of(case, lambda c: Vace(c, channels, layers))
    contexts = case.numbered("vace_context_") or [case.inputs["vace_context"]]
    data = list(zip(contexts, case.inputs["vace_scale"].tolist(), strict=True))
    return {"x": loaded.predict(case.inputs["x"], case.inputs["t"], case.inputs["context"], data)}


def talking(case: Case) -> Mapping[str, Tensor]:
    c, inputs = case.config, case.inputs
    loaded = Loaded.of(
        case,
        lambda base: InfiniteTalk(
            base.dim, base.num_heads, base.num_layers, c["audio_blocks"] * c["audio_channels"],
            c["audio_intermediate_dim"], c["audio_context_tokens"], c["audio_output_dim"],
        ),
    )  # fmt: skip
    latents = torch.cat((inputs["x"], inputs["y"]))
    masks = inputs["ref_target_masks"]
    masks = torch.nn.functional.interpolate(masks[None], scale_factor=0.5)[0]
    audio = Audio(inputs["audio"], (masks > 0).float().flatten(1))
    silence = Audio(torch.zeros_like(inputs["audio"][:1]))
    image, attached = inputs["clip_fea"][0], loaded.attached()
    run = {"pred": audio, "pred_null_audio": silence}
    return {
        name: loaded.predict(
            latents, inputs["t"], inputs["context"], data, image, attached=attached,
            scope=Scope(name=name, variants={"own": name}),
        )
        for name, data in run.items()
        if name in case.expected
    }  # fmt: skip


def standin(case: Case) -> Mapping[str, Tensor]:
    loaded = Loaded.of(case, lambda c: StandIn(c.dim, c.num_layers, case.config["lora_rank"]))
    attached = loaded.attached()
    return {
        f"pass{i}": loaded.predict(
            case.inputs[f"latents{i}"], case.inputs[f"t{i}"], case.inputs[f"context{i}"],
            case.inputs["ip_latent"], attached=attached, scope=Scope(step=i),
        )
        for i in (1, 2)
    }  # fmt: skip


def scail(case: Case) -> Mapping[str, Tensor]:
    loaded = Loaded.of(case, lambda c: Scail(c, case.config.get("mask_dim")))
    inputs = {name: value[0] for name, value in case.inputs.items()}
    x, extra = inputs["x"], inputs.get("additional_ref_latents")
    start = Start.of(extra.shape[1] if extra is not None else 0, bool(inputs.get("replace_flag", 0)))
    masks = None
    if "ref_masks" in inputs:
        masks = Masks(inputs["ref_masks"][:, :1], inputs["driving_masks"], inputs.get("additional_ref_masks"))
    segments = loaded.adapter.segments(
        loaded.model, start, inputs["ref_latents"], inputs["pose_latents"], extra, masks
    )
    history = inputs.get("history_mask", torch.zeros_like(x[:4]))
    latents, rows = torch.cat((x, history)), x.shape[1] * x.shape[2] * x.shape[3] // 4
    velocity = loaded.predict(
        latents,
        case.inputs["t"],
        inputs["context"],
        rows,
        inputs["clip_fea"],
        segments,
        origin=start.video[0],
    )
    return {"velocity": velocity[None]}


FAMILIES = {"recammaster": recammaster, "vace": vace, "infinitetalk": talking, "multitalk": talking,
            "standin": standin, "scail": scail}  # fmt: skip
