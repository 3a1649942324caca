"""Golden cases of whole videos: a family's windows, guidance and loop around stand-in networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NoReturn

import torch
from einops import repeat
from torch import Tensor
from wancore_solvers.specs import SOLVERS

from wancore.engine.compose import compose
from wancore.engine.decoder import decode, windowed
from wancore.engine.sampler import Sampling, sample
from wancore.media.video import Video
from wancore.parity import Case, seeded
from wancore.parity.fakes import FakeExpert, FakeVae
from wancore.plugins.family import Base, Carry, Lead, Window
from wancore.sampling.registry import find_solver
from wancore.transformer.config import TransformerConfig
from wancore.transformer.predict import Inputs
from wancore_talking.adapter import Speech
from wancore_talking.family import TalkingFamily
from wancore_talking.features import Features
from wancore_talking.guidance import Scales
from wancore_talking.parameters import TalkingParameters
from wancore_talking.prepare import Plan, Prepared, assembled
from wancore_talking.timeline import Pace, timeline
from wancore_talking.tracks import Mix

CPU = torch.device("cpu")
CHANNELS = 16


class FakeDecoder:
    """tanh of a fixed matrix times the latent, brighter with each of a latent frame's four frames."""

    def __init__(self) -> None:
        self.matrix = torch.from_numpy(seeded.tensor("fake_vae/decode", [3, CHANNELS], 0.5))
        self.first = True

    def steps(self, latent: Tensor) -> Iterator[Tensor]:
        yield from map(self.decoded, latent.split(1, dim=1))

    def decoded(self, latent: Tensor) -> Tensor:
        pixels = torch.einsum("cz,zthw->cthw", self.matrix, latent)
        phases = torch.tensor([3.0] if self.first else [0.0, 1.0, 2.0, 3.0])
        self.first = False
        frames = torch.tanh(pixels * (1 + 0.1 * phases[None, :, None, None]))
        return repeat(frames, "c t h w -> c t (h p) (w q)", p=8, q=8)


class LoopVae(FakeVae):
    def frame_stream(self) -> FakeDecoder:  # type: ignore[override]
        return FakeDecoder()


@dataclass
class LoopTools:
    """The case's source, and stand-ins for VAE and CLIP."""

    source: Tensor
    vae: LoopVae = field(default_factory=lambda: LoopVae(scale=1.0))
    device: torch.device = CPU

    def image_features(self, images: Sequence[Tensor]) -> Tensor:
        """[n, 1, 3]: the mean of each colour."""
        return torch.stack([image.mean(dim=(1, 2)) for image in images])[:, None]

    def image(self, role: str) -> Tensor:
        return self.source.byte()

    def video(self, role: str) -> Video:
        return Video(self.source.byte().numpy(), Fraction(25))

    def text(self, prompts: Sequence[str]) -> NoReturn:
        raise AssertionError("the cases give the text's rows")

    def audio(self, role: str) -> NoReturn:
        raise AssertionError("the cases give the sound's features")

    def speech(self, waveform: Tensor, frames: int) -> NoReturn:
        raise AssertionError("the cases give the sound's features")

    @property
    def live(self) -> NoReturn:
        raise AssertionError("the cases give the sound's features")

    def draw(self, shape: Sequence[int]) -> NoReturn:
        raise AssertionError("the cases give all noise")


@dataclass
class LoopExpert(FakeExpert):
    """tanh of a sum of everything that a transformer reads, as the cases' notes have it."""

    slot: str

    def predict(self, inputs: Inputs) -> Tensor:
        x, mask, image = inputs.latents.split((CHANNELS, 4, CHANNELS))
        speech: Speech = inputs.data[self.slot]
        assert inputs.text.text is not None and inputs.text.image is not None
        text, clip = inputs.text.text.mean(), inputs.text.image.mean()
        t = inputs.layout.times(inputs.t).float().mean()
        masks = torch.ones(3, *x.shape[2:]) if speech.masks is None else speech.masks
        placed = sum((k + 1) * m for k, m in enumerate(masks))
        known = mask.mean(0)
        return torch.tanh(
            0.6 * x + 0.3 * image + 0.2 * known + 2 * level(speech.windows)[:, None, None]
            + 0.5 * text + 0.3 * clip + 0.1 * t / 1000 + 0.05 * placed
        )  # fmt: skip


def level(windows: Tensor) -> Tensor:
    """Audio windows [speakers, F, 5, layers, width] -> one number for each latent frame."""
    means = windows.mean(dim=(2, 3, 4))  # [speakers, F]
    frames = torch.cat((means[:, :1], means[:, 1:].unflatten(1, (-1, 4)).mean(2)), dim=1)
    return (frames * torch.arange(1, len(frames) + 1)[:, None]).sum(0)


class GivenNoise:
    """The case's noise of one window: the latent's, then that of known frames, where it counts."""

    def __init__(self, case: Case, window: int) -> None:
        self.latent = case.inputs["noise"][window]
        self.motion = iter(
            case.inputs["motion_noise"][window - 1] if window and "motion_noise" in case.inputs else ()
        )

    def draw(self, shape: Sequence[int]) -> Tensor:
        return next(self.motion)

    def permutation(self, n: int) -> NoReturn:
        raise AssertionError("nothing is shuffled")


def plan_of(case: Case, family: TalkingFamily, features: Sequence[Features]) -> Plan:
    config = case.config
    fields: dict[str, Any] = {
        "boxes": config.get("bbox"),
        "apg": config["use_apg"],
        "color_correction": config["color_correction_strength"],
    }
    if "apg_norm_threshold" in config:
        fields["apg_threshold"] = config["apg_norm_threshold"]
    pace = Pace(config["frame_num"], config["motion_frame"])
    return Plan(
        TalkingParameters.model_validate(fields),
        timeline([len(f) for f in features], config["max_frames"], pace, family.ending),
        config["motion_frame"],
        Scales(config["text_guide_scale"], config["audio_guide_scale"]),
        "image" if case.inputs["source"].ndim == 3 else "video",
    )


@torch.no_grad()
def video(case: Case, family: TalkingFamily) -> Tensor:
    """[3, F, H, W] in [-1, 1]: every frame that leaves, of all windows."""
    config, tools = case.config, LoopTools(case.inputs["source"])
    features = tuple(Features(rows) for rows in case.numbered("audio_"))
    plan = plan_of(case, family, features)
    model = TransformerConfig(64, 64, 4, 1, 2 * CHANNELS + 4, CHANNELS, patch_size=(1, 1, 1), image_dim=3)
    base = Base(model)
    lead = Lead(
        config["width"], config["height"], plan.timeline.frames, Fraction(25),
        config["steps"], "multitalk", config["shift"], (config["text_guide_scale"],), "",
    )  # fmt: skip
    texts = {"positive": case.inputs["context"], "negative": case.inputs["context_null"]}
    prepared = assembled(plan, base, lead, tools, features, texts, Mix())
    sent: list[Tensor] = []
    carry: Carry | None = None
    for window in family.windows(prepared, lead):
        carry = run(case, family, prepared, lead, tools, window, carry, sent)
    return torch.cat(sent, dim=1)


def run(
    case: Case,
    family: TalkingFamily,
    prepared: Prepared,
    lead: Lead,
    tools: LoopTools,
    window: Window,
    carry: Carry | None,
    sent: list[Tensor],
) -> Carry:
    """One window; its new frames are added to `sent`."""
    conditioning = compose(family.window(prepared, window, carry, tools), [])
    solver = find_solver(lead.solver, SOLVERS)
    sampling = Sampling(
        lead, solver, solver.schedule(lead.steps, lead.shift), family.guidance(prepared, lead, window),
        ("",), lambda name: LoopExpert(family.id),
    )  # fmt: skip
    noise: Any = GivenNoise(case, window.index)
    latent = noise.latent
    for stepped in sample(sampling, conditioning, latent, noise):
        latent = stepped.x
    frames = []
    for chunk in windowed(window, decode(tools.vae, latent, family.decode(conditioning.canvas))):
        finished = chunk.finished(lambda decoded: family.finish(prepared, decoded))
        frames.append(finished.frames)
        sent.append(finished.fresh)
    return Carry(torch.cat(frames, dim=1), latent)
