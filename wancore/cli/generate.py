"""`wancore generate`: a video from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from wancore.cli.values import guidance_scales, input_files, named_use, noise_levels, parameters
from wancore.errors import InvalidInput
from wancore.lora.spec import parse_lora

Opt = typer.Option


def add_to(app: typer.Typer) -> None:
    app.command("generate")(generate)


def generate(
    prompt: Annotated[str | None, Opt(help="what to show")] = None,
    negative_prompt: Annotated[str | None, Opt(help="what to avoid; default: the model's own")] = None,
    image: Annotated[Path | None, Opt(help="first frame, for models that start from an image")] = None,
    last_image: Annotated[Path | None, Opt(help="last frame, for models that end in one")] = None,
    audio: Annotated[Path | None, Opt(help="speech or other sound, for models that follow one")] = None,
    inputs: Annotated[
        list[str] | None,
        Opt("--input", metavar="ROLE=FILE", help="any input of the family; see `wancore families`"),
    ] = None,
    size: Annotated[
        str | None, Opt(metavar="WxH", help="pixels; with an image: its shape, of this area")
    ] = None,
    frames: Annotated[int | None, Opt(help="number of frames, 4n + 1")] = None,
    fps: Annotated[float | None, Opt(help="frames per second")] = None,
    steps: Annotated[int | None, Opt(help="denoising steps")] = None,
    seed: Annotated[int | None, Opt(help="0 to 2^63 - 1; default: random, and printed")] = None,
    solver: Annotated[str | None, Opt(help="see `wancore solvers`")] = None,
    guidance: Annotated[
        str | None, Opt(metavar="SCALE[,SCALE]", help="guidance scale, or one per expert")
    ] = None,
    shift: Annotated[float | None, Opt(help="shift of the noise schedule")] = None,
    sigmas: Annotated[
        str | None, Opt(metavar="LEVEL,…,0", help="noise levels, in place of steps and shift")
    ] = None,
    method: Annotated[
        list[str] | None, Opt(metavar="NAME[:FIELD=VALUE,…]", help="see `wancore methods`")
    ] = None,
    windows: Annotated[
        str | None,
        Opt(
            metavar="SCHEDULE[:FIELD=VALUE,…]",
            help="overlapping windows for long clips, e.g. static_standard:frames=81,overlap=16",
        ),
    ] = None,
    param: Annotated[list[str] | None, Opt(metavar="NAME=VALUE", help="a parameter of the family")] = None,
    family: Annotated[str | None, Opt(help="whose model it is, where its keys do not tell")] = None,
    attach: Annotated[
        list[str] | None, Opt(metavar="FAMILY[:FIELD=VALUE,…]", help="a further family")
    ] = None,
    lora: Annotated[
        list[str] | None,
        Opt(
            metavar="NAME[:STRENGTH]",
            help="a LoRA, by file or by name under loras/; also NAME:strength=1;0.5,expert=high,blocks=0-9",
        ),
    ] = None,
    lora_mode: Annotated[str | None, Opt(help="auto, merged, streaming or on-the-fly")] = None,
    lora_master: Annotated[
        str | None,
        Opt(metavar="FILE[,FILE]", help="float original of a quantised model, to merge LoRAs from"),
    ] = None,
    lora_timing: Annotated[bool | None, Opt("--lora-timing", help="say what LoRAs cost")] = None,
    provenance: Annotated[
        bool | None,
        Opt("--provenance/--no-provenance", help="write into the file that a model made it, and how [yes]"),
    ] = None,
    model: Annotated[str | None, Opt(help="a model's folder or file, or its name under --models")] = None,
    module: Annotated[
        list[str] | None,
        Opt(metavar="[FAMILY=]FILE", help="a family's weights beside the model; twice: one for each expert"),
    ] = None,
    models: Annotated[Path | None, Opt(help="folder of model files; a ComfyUI models/ folder works")] = None,
    vae: Annotated[Path | None, Opt(help="VAE, instead of the one found")] = None,
    text_encoder: Annotated[Path | None, Opt(help="text encoder, instead of the one found")] = None,
    tokenizer: Annotated[Path | None, Opt(help="tokenizer, instead of the one found")] = None,
    image_encoder: Annotated[Path | None, Opt(help="CLIP, instead of the one found")] = None,
    audio_encoder: Annotated[Path | None, Opt(help="wav2vec2 or Whisper, instead of the one found")] = None,
    transformer_2: Annotated[Path | None, Opt(help="low-noise expert, instead of the one found")] = None,
    device: Annotated[str | None, Opt(help="auto, cpu, cuda or cuda:N")] = None,
    dtype: Annotated[str | None, Opt(help="auto, float32, bfloat16 or float16")] = None,
    vram: Annotated[
        str | None, Opt(metavar="16GB", help="GPU memory that may be used; default: what is free")
    ] = None,
    linears: Annotated[
        str | None, Opt(help="stored, or fp8: the transformer multiplies in row-wise scaled fp8")
    ] = None,
    attention: Annotated[
        str | None, Opt(metavar="[ROLE=]NAME,…", help="attention backend; see `wancore doctor`")
    ] = None,
    out: Annotated[str, Opt(help="NAME.mp4, a folder for PNGs, or - for raw RGB")] = "out.mp4",
    overwrite: Annotated[bool, Opt(help="replace what is there")] = False,
    source: Annotated[
        Path | None, Opt("--from", metavar="FILE", help="repeat what made this file; other options change it")
    ] = None,
    quiet: Annotated[bool, Opt(help="no progress")] = False,
) -> None:
    """Generate a video."""
    given: dict[str, Any] = {
        "prompt": prompt,
        "negative_prompt": negative_prompt,
        "family": family,
        "model": model,
        "size": size,
        "frames": frames,
        "fps": fps,
        "steps": steps,
        "seed": seed,
        "solver": solver,
        "guidance": guidance_scales(guidance) if guidance is not None else None,
        "shift": shift,
        "sigmas": noise_levels(sigmas) if sigmas is not None else None,
        "inputs": files(
            {"image": image, "last_image": last_image, "audio": audio},
            [text for text in inputs or [] if not of_attachment(text)],
        ),
        "params": parameters("param", param or []) or None,
        "methods": [named_use("method", text) for text in method] if method else None,
        "windows": window_fields(windows) if windows is not None else None,
        "modules": tuple(text for text in module or [] if "=" not in text) or None,
        "loras": [parse_lora(text) for text in lora] if lora else None,
        "attachments": attachments(attach or [], inputs or [], module or []) or None,
    }
    settings = {
        "models": models, "device": device, "dtype": dtype, "vae": vae, "text_encoder": text_encoder,
        "tokenizer": tokenizer, "image_encoder": image_encoder, "audio_encoder": audio_encoder,
        "transformer_2": transformer_2, "lora_mode": lora_mode, "lora_timing": lora_timing,
        "lora_master": lora_master,
        "linears": linears, "attention": attention, "provenance": provenance, "vram": vram,
    }  # fmt: skip
    from wancore.cli.produce import produce

    produce({k: v for k, v in given.items() if v is not None}, settings, out, overwrite, source, quiet)


def files(short: dict[str, Path | None], inputs: list[str]) -> dict[str, Path] | None:
    """Inputs by role, from the short options and the general one."""
    return {**input_files(inputs), **{role: file for role, file in short.items() if file is not None}} or None


def window_fields(text: str) -> dict[str, Any]:
    use = named_use("windows", text)
    return {"schedule": use["name"], **use["params"]}


def of_attachment(text: str) -> bool:
    """Whether an input is `FAMILY/ROLE=FILE`."""
    return "/" in text.partition("=")[0]


def attachments(attach: list[str], inputs: list[str], modules: list[str]) -> list[dict[str, Any]]:
    """Every attached family with its parameters, inputs (`FAMILY/ROLE=FILE`) and modules (`FAMILY=FILE`)."""
    uses = {
        use["name"]: {**use, "inputs": {}, "modules": []} for use in (named_use("attach", t) for t in attach)
    }
    for text in filter(of_attachment, inputs):
        family, _, rest = text.partition("/")
        if family not in uses:
            raise InvalidInput(
                "input", text, f"an attached family: {', '.join(uses) or 'none; see --attach'}"
            )
        uses[family]["inputs"] |= input_files([rest])
    for text in modules:
        family, equals, file = text.partition("=")
        if equals and family not in uses:
            raise InvalidInput(
                "module", text, f"an attached family: {', '.join(uses) or 'none; see --attach'}"
            )
        if equals:
            uses[family]["modules"].append(file)
    return list(uses.values())
