"""Golden cases of what happens around the transformer."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from wancore_solvers.distilled import multitalk

from wancore.checkpoints.open import open_view
from wancore.encoders.audio import normalise_waveform
from wancore.encoders.wav2vec2 import load_wav2vec2
from wancore.parity import Case
from wancore.sampling.guidance import Guidance
from wancore.sampling.guided import Guided, Pass
from wancore.sampling.hooks import Step
from wancore_talking.apg import AdaptiveProjection
from wancore_talking.color import ColorMatch
from wancore_talking.features import speech_features
from wancore_talking.guidance import Scales, talking_guidance
from wancore_talking.loudness import normalised
from wancore_talking.masks import check_boxes, default_boxes, latent_masks, nearest, speaker_masks
from wancore_talking.tracks import arranged
from wancore_talking.weights import load_projection

#: Pass -> the case's name of its prediction.
PREDICTIONS = {
    "positive": "cond",
    "drop_text": "drop_text",
    "unconditional": "uncond",
    "drop_audio": "drop_audio",
}


@torch.no_grad()
def audio_proj(case: Case) -> Mapping[str, Tensor]:
    with case.checkpoint() as folder:
        projection = load_projection(open_view(folder))
    return {"audio_tokens": projection(case.inputs["audio"])[None]}


def guided(case: Case, guidance: Guidance, steps: int, names: Mapping[str, str]) -> list[Tensor]:
    """The guided velocity of each step, from the case's predictions [..., C, F, h, w]."""

    def predict(x: Tensor, asked: Pass) -> Tensor:
        found = case.inputs[names[asked.call.name]]
        return found if found.ndim == 4 else found[asked.call.step.index]

    velocity = Guided(predict, guidance)
    x = torch.zeros(())
    return [velocity(x, Step(i, steps, 1 - i / steps, 0.0, 0.0, x)) for i in range(steps)]


def cfg(case: Case) -> Mapping[str, Tensor]:
    text, audio = case.config["text_guide_scale"], case.config["audio_guide_scale"]
    return {
        name: guided(case, talking_guidance(Scales(scale, audio), "audio"), 1, PREDICTIONS)[0]
        for name, scale in (("three_pass", text), ("two_pass", 1.0))
    }


def apg(case: Case) -> Mapping[str, Tensor]:
    """The two-pass form reads the case's `uncond` as its pass without audio."""
    config, steps = case.config, len(case.inputs["cond"])
    names = {**PREDICTIONS, "drop_audio": "uncond"}

    def projection() -> AdaptiveProjection:
        return AdaptiveProjection(config["momentum"], config["norm_threshold"])

    outputs = {}
    for name, scale in (("three_pass", config["text_guide_scale"]), ("two_pass", 1.0)):
        guidance = talking_guidance(Scales(scale, config["audio_guide_scale"]), "audio", projection)
        for i, v in enumerate(guided(case, guidance, steps, names)):
            outputs[f"{name}_step{i}"] = v
    return outputs


def color_match(case: Case) -> Mapping[str, Tensor]:
    reference, video = case.inputs["reference"], case.inputs["video"]
    return {f"strength_{s:g}": ColorMatch(reference, s)(video) for s in case.config["strengths"]}


def loudness_norm(case: Case) -> Mapping[str, Tensor]:
    config = case.config
    rate = config["sample_rate"]
    given = [case.inputs[name] for name in sorted(case.inputs)]
    speech = [normalised(samples, rate, config["lufs"]) for samples in given]
    tracks = arranged(speech, config["audio_type"], rate)
    return {"mix": tracks.mix, **{f"speech_{i + 1}": track for i, track in enumerate(tracks.speech)}}


def ref_target_masks(case: Case) -> Mapping[str, Tensor]:
    config = case.config
    source, size = config["source_size"], (config["height"], config["width"])
    boxes = config.get("bbox")
    if boxes is not None:
        check_boxes(boxes, *source)
    masks = latent_masks(speaker_masks(boxes or default_boxes(*source), *source), size, 8)
    rows, columns = masks.shape[1:]
    return {"latent_masks": masks, "token_masks": nearest(masks, (rows // 2, columns // 2))}


def timesteps(case: Case) -> Mapping[str, Tensor]:
    outputs = {}
    for steps, shift in case.config["table"]:
        times = multitalk(steps, shift).timesteps
        outputs[f"steps{steps}_shift{shift:g}"] = torch.cat((times, times.new_zeros(1)))
    return outputs


def wav2vec_features(case: Case) -> Mapping[str, Tensor]:
    config, waveform = case.config, case.inputs["waveform"]
    frames = int(len(waveform) / config["sampling_rate"] * config["fps"])
    with case.checkpoint(config) as folder:
        encoder = load_wav2vec2(folder)
    if config["do_normalize"]:
        waveform = normalise_waveform(waveform)
    return {"audio_embedding": speech_features(encoder(waveform, frames)).rows}
