"""Golden cases of single formulas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from wancore.kernels.attention import sdpa
from wancore.parity.case import Case
from wancore.sampling.combination import combine
from wancore.sampling.guidance import UNGUIDED, Direction, Guidance, classifier_free
from wancore.sampling.hooks import Step
from wancore.sampling.method import Method, Run
from wancore.sampling.noise import NoiseSource
from wancore.transformer.canvas import Canvas
from wancore.transformer.plan import self_attention
from wancore.transformer.rope import Frequencies, Rotation
from wancore_guidance.enhance import enhancement
from wancore_guidance.freeinit import frequency_mix, low_pass
from wancore_guidance.methods import METHODS
from wancore_guidance.normalized_attention import normalized_guidance
from wancore_guidance.parameters import FreeInitParameters
from wancore_guidance.prompt_split import prompt_of_frame, split_plan
from wancore_guidance.rescaling import rescaled

Outputs = Mapping[str, Tensor]


def run_of(guidance: Guidance = UNGUIDED, steps: int = 1, frames: int = 1) -> Run:
    """A run about which only this is known."""
    return Run(steps, frames, 1, frozenset({"positive"}), guidance, lambda text: torch.empty(0))


def made(chosen: Mapping[str, Mapping[str, Any]], run: Run) -> list[Method]:
    """The methods named, in the order in which they act."""
    specs = sorted((s for s in METHODS if s.name in chosen), key=lambda s: s.order)
    return [s.make(s.parameters.model_validate(chosen[s.name]), run) for s in specs]


def step_of(index: int, count: int, x: Tensor) -> Step:
    return Step(index, count, 1.0, 0.0, 1000.0, x)


def guidance(case: Case) -> Outputs:
    """Combinations of given predictions, with and without the methods that change them."""
    scale, second = case.config["cfg"], case.config["second_cfg"]
    low, high, cutoff = case.config["fresca"]
    star: Mapping[str, Any] = {"cfg-zero-star": {}}
    fresca = {"fresca": {"low": low, "high": high, "cutoff": cutoff}}
    raag = {"raag": {"alpha": case.config["raag_alpha"]}}
    predictions = {
        "positive": case.inputs["cond"],
        "negative": case.inputs["uncond"],
        "third": case.inputs["third"],
        "fourth": case.inputs["fourth"],
    }

    def guided(guidance: Guidance, chosen: Mapping[str, Mapping[str, Any]] | None = None) -> Tensor:
        step = step_of(0, 1, predictions["positive"])
        used = guidance.used([step])
        present = {name: p for name, p in predictions.items() if name in used}
        return combine(guidance, step, present, made(chosen or {}, run_of(guidance)))

    def summed(base: str, *directions: tuple[float, str, str]) -> Tensor:
        passes: dict[str, dict[str, str]] = {base: {}}
        passes |= {name: {} for _, a, b in directions for name in (a, b)}
        return guided(Guidance(base, tuple(Direction(*d) for d in directions), passes))

    plain = classifier_free(scale)
    return {
        "cfg": guided(plain),
        "cfg_zero_star": guided(plain, star),
        "tcfg": guided(plain, {"tcfg": {}}),
        "zero_star_tcfg": guided(plain, {**star, "tcfg": {}}),
        "raag": guided(plain, raag),
        "fresca": guided(plain, fresca),
        "zero_star_fresca": guided(plain, {**star, **fresca}),
        "fresca_cfg1": guided(classifier_free(1.0), fresca),
        "audio_cfg": summed("third", (scale, "positive", "negative"), (scale * second, "negative", "third")),
        "ref_cfg": summed("negative", (second, "third", "negative"), (scale, "positive", "third")),
        "portrait_cfg": summed("third", (second, "positive", "third")),
        "humo_image": summed("negative", (second, "positive", "third"), (scale - 2, "third", "negative")),
        "humo_four": summed(
            "third",
            (second, "positive", "fourth"),
            (scale, "fourth", "negative"),
            (scale, "negative", "third"),
        ),
    }


def tsr(case: Case) -> Outputs:
    v, x = case.inputs["v"], case.inputs["x"]
    return {
        str(n): rescaled(v, x, run["t"] / 1000, run["k"], run["sigma"])
        for n, run in enumerate(case.config["runs"])
    }


def nag(case: Case) -> Outputs:
    positive, negative = case.inputs["positive"], case.inputs["negative"]
    return {
        str(n): normalized_guidance(positive, negative, run["scale"], run["tau"], run["alpha"])
        for n, run in enumerate(case.config["runs"])
    }


def feta_scores(case: Case) -> Outputs:
    """A batch counts like further heads: the score is a mean over both."""
    q, k = (rearrange(case.inputs[name], "b s h d -> s (b h) d") for name in ("q", "k"))
    return {
        f"{n}.{name}": enhancement(q, k, run["frames"], run["weight"], grouping).view(1)
        for n, run in enumerate(case.config["runs"])
        for name, grouping in (("upstream", "position"), ("wrapper", "wrapper"))
    }


def freenoise(case: Case) -> Outputs:
    noise = case.inputs["noise"]
    outputs = {}
    for n, run in enumerate(case.config["runs"]):
        chosen = {"freenoise": {"size": run["size"], "overlap": run["overlap"]}}
        (method,) = made(chosen, run_of(frames=noise.shape[1]))
        outputs[str(n)] = method.initial_noise(noise, NoiseSource(run["seed"]))
    return outputs


def freeinit(case: Case) -> Outputs:
    diffused, noise = case.inputs["diffused"], case.inputs["noise"]
    frames, height, width = diffused.shape[-3:]
    outputs = {}
    for n, run in enumerate(case.config["runs"]):
        parameters = FreeInitParameters.model_validate(run)
        outputs[str(n)] = frequency_mix(diffused, noise, low_pass((frames, height, width), parameters))
    return outputs


def latent_shift(case: Case) -> Outputs:
    """The notes' stand-in model and Euler step, with the method around the model."""
    config, x = case.config, case.inputs["x"]
    chosen = {"latent-shift": {name: config[name] for name in ("skip", "start", "end")}}
    (method,) = made(chosen, run_of(steps=config["steps"], frames=x.shape[1]))

    def predict(z: Tensor) -> Tensor:
        return z.sin() + 0.1 * torch.arange(z.shape[1], dtype=z.dtype)[:, None, None]

    latents = [x]
    for i in range(config["steps"]):
        x = x - 0.1 * method.around_velocity(predict, x, step_of(i, config["steps"], x))
        latents.append(x)
    return {"latents": torch.stack(latents)}


def rope(case: Case) -> Outputs:
    """Tables per axis over positions 0, 1 ..., read off a grid's factors; rotated queries where asked for."""
    outputs = {}
    for n, run in enumerate(case.config["runs"]):
        grid = Canvas(*run["grid"])
        canvas, frequencies = rotary(run, grid)
        table = frequencies.factors(grid.positions()).unflatten(0, run["grid"])
        first, side, _ = (channels // 2 for channels in frequencies.axes)
        axes = {
            "f": table[:, 0, 0, :first],
            "h": table[0, :, 0, first : first + side],
            "w": table[0, 0, :, first + side :],
        }
        for name, factors in axes.items():
            rotation = Rotation.of(factors)
            outputs[f"{n}.{name}.cos"], outputs[f"{n}.{name}.sin"] = rotation.cos, rotation.sin
        if run.get("apply"):
            rotate = Rotation.of(frequencies.factors(canvas.positions()))
            outputs[f"{n}.rotated"] = torch.stack([rotate(q[: canvas.rows]) for q in case.inputs["q"]])
    return outputs


def rotary(run: Mapping[str, Any], canvas: Canvas) -> tuple[Canvas, Frequencies]:
    """The canvas and the speeds after the run's methods."""
    chosen: dict[str, Mapping[str, Any]] = {}
    if run["k"]:
        chosen["riflex"] = {"index": run["k"]}
    if "ntk" in run:
        chosen["ntk"] = dict(zip("fhw", run["ntk"], strict=True))
    if run.get("reverse"):
        chosen["reversed-time"] = {}
    frequencies = Frequencies(run["head_dim"])
    for method in made(chosen, run_of(frames=canvas.frames)):
        canvas = method.canvas(canvas)
        frequencies = method.frequencies(frequencies, canvas)
    return canvas, frequencies


def attention_split(case: Case) -> Outputs:
    outputs = {}
    for n, run in enumerate(case.config["runs"]):
        canvas, prompts = Canvas(*run["grid"]), run["prompts"]
        rows: Sequence[Tensor] = [case.inputs[name][:, : canvas.rows] for name in ("q", "k", "v")]
        plan = split_plan(canvas, canvas.rows, prompts)
        attended = [self_attention(sdpa, q, k, v, plan) for q, k, v in zip(*rows, strict=True)]
        outputs[f"{n}.self"] = torch.stack(attended).flatten(2)
        chosen = prompt_of_frame(canvas.frames, prompts)
        outputs[f"{n}.prompt_of_frame"] = torch.tensor(chosen, dtype=torch.int32)
    return outputs
