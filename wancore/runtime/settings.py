"""Settings: flags first, then `WANCORE_*` variables, then `wancore.toml` in the working folder.

The ancestor's variables (`WIDTH`, `HEIGHT`, `FRAME_RATE`, `MAX_FRAMES`, `MAX_STEPS`, `MOTION_FRAME`) are
defaults of the matching settings, after all of these.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from wancore.checkpoints.parts import Part
from wancore.plugins.inputs import first_problem
from wancore.runtime.amounts import parse_amount

#: Setting -> the ancestor's variable.
ANCESTOR = {
    "width": "WIDTH",
    "height": "HEIGHT",
    "fps": "FRAME_RATE",
    "frames": "MAX_FRAMES",
    "steps": "MAX_STEPS",
    "motion_frame": "MOTION_FRAME",
    "lora_streaming": "WAN_LORA_STREAMING",
    "lora_timing": "WAN_LORA_TIMING",
    "compile": "WAN_TORCH_COMPILE",
}
#: Set to 1, it chooses a mode.
ON_THE_FLY = "WAN_LORA_ONTHEFLY"


def comma_separated(value: object) -> object:
    """`"a,b"` as a tuple; anything else as it is."""
    return (
        tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
    )


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(comma_separated)]


class AncestorVariables(PydanticBaseSettingsSource):
    """The ancestor's environment variables, as the weakest source."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return os.environ.get(ANCESTOR.get(field_name, "")), field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {name: os.environ[variable] for name, variable in ANCESTOR.items() if variable in os.environ}
        return {**found, "lora_mode": "on-the-fly"} if os.environ.get(ON_THE_FLY) == "1" else found


class Settings(BaseSettings):
    """What holds for every request of this process."""

    model_config = SettingsConfigDict(
        env_prefix="WANCORE_", toml_file="wancore.toml", extra="forbid", frozen=True, populate_by_name=True
    )

    models: Path | None = Field(
        default=None, description="folder tree of model files (a ComfyUI models/ folder works)"
    )
    model: str | None = Field(
        default=None,
        description="the model to use when a request names none; default: the small one that comes along",
    )
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto",
        description="what transformers and encoders compute in; auto: bfloat16 on a GPU, else float32",
    )
    plugins: Names | None = Field(default=None, description="load only these plugins (comma-separated)")
    disabled_plugins: Names = Field(default=(), description="do not load these plugins")
    vae: Path | None = Field(default=None, description="VAE file, instead of the one found")
    text_encoder: Path | None = Field(default=None, description="text encoder, instead of the one found")
    tokenizer: Path | None = Field(default=None, description="tokenizer, instead of the one found")
    image_encoder: Path | None = Field(default=None, description="CLIP file, instead of the one found")
    audio_encoder: Path | None = Field(
        default=None, description="wav2vec2 or Whisper, instead of the one found"
    )
    preview: Path | None = Field(default=None, description="preview decoder, instead of the one found")
    transformer_2: Path | None = Field(default=None, description="low-noise expert, instead of the one found")
    serve: dict[str, Any] = Field(default={}, description="the server's own settings, which it reads itself")
    width: int | None = Field(default=None, ge=16, le=8192, description="default width in pixels")
    height: int | None = Field(default=None, ge=16, le=8192, description="default height in pixels")
    fps: float | None = Field(default=None, gt=0, le=240, description="default frames per second")
    frames: int | None = Field(default=None, ge=1, description="default number of frames")
    steps: int | None = Field(default=None, ge=1, le=1000, description="default number of denoising steps")
    motion_frame: int | None = Field(
        default=None,
        ge=1,
        description="default of the parameter motion_frame, for families that have it; rounded to 4n + 1",
    )

    vram: str | None = Field(
        default=None,
        description="GPU memory that may be used, as 16GB or 80%; unset: what is free. Weights beyond it "
        "wait in host memory",
    )
    bf16_reduction: Literal["auto", "on", "off"] = Field(
        default="auto", description="partial sums of bf16 products in bf16; auto: by GPU, see wancore doctor"
    )
    tf32: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="TF32 in what is computed in float32; auto: in the VAE's convolutions, unless dtype is "
        "float32",
    )
    cudnn_benchmark: Literal["auto", "on", "off"] = Field(
        default="auto", description="let cuDNN try its convolutions; auto: on"
    )
    allocator: str = Field(
        default="auto", description="auto, default, or what PYTORCH_CUDA_ALLOC_CONF would hold"
    )
    compile: bool = Field(default=False, description="compile the blocks of the transformer (torch.compile)")
    cuda_graphs: Literal["auto", "off"] = Field(
        default="auto",
        description="replay forwards of the transformer as CUDA graphs; auto: where the host takes longer to"
        " queue one than the GPU to run it, which is measured",
    )
    attention: str = Field(
        default="auto",
        description="attention backend, or one for each role (self=NAME,text=NAME); see wancore doctor",
    )
    linears: Literal["stored", "fp8"] = Field(
        default="stored",
        description="how the transformer's blocks multiply; stored: as the file has its weights; fp8: with"
        " a scale for each row of weights, quantised at load, and of tokens (Ada, Hopper and later)",
    )
    provenance: bool = Field(
        default=True,
        description="write into files that a model made them, and how; off, nothing in them tells",
    )
    lora_mode: Literal["auto", "merged", "streaming", "on-the-fly"] = Field(
        default="auto", description="how LoRAs act; auto: in each layer the way that costs least"
    )
    lora_streaming: bool = Field(default=True, description="let auto stream differences from host memory")
    lora_master: Names = Field(
        default=(),
        description="the float checkpoint that a quantised model was made from; LoRAs are merged into its"
        " values and quantised once, so that nothing small is lost (comma-separated for two experts)",
    )
    lora_originals: Literal["file", "host", "device"] = Field(
        default="file",
        description="where what merged LoRAs start from is kept: read from the file at each change, in"
        " (pinned) memory, or on the GPU: the fastest, for as much memory as the weights again",
    )
    stage_timing: bool = Field(
        default=False, description="wait for the device after each stage, so that its time is told exactly"
    )
    lora_timing: bool = Field(default=False, description="measure what LoRAs cost, and say so at the end")

    @field_validator("vram")
    @classmethod
    def an_amount(cls, text: str | None) -> str | None:
        if text is not None:
            parse_amount(text)
        return text

    @field_validator("motion_frame")
    @classmethod
    def whole_latent_frames(cls, frames: int | None) -> int | None:
        return frames if frames is None else 4 * round((frames - 1) / 4) + 1

    @property
    def parameters(self) -> dict[str, Any]:
        """Defaults of families' parameters, by name."""
        return {"motion_frame": self.motion_frame} if self.motion_frame is not None else {}

    @property
    def chosen_parts(self) -> dict[Part, Path]:
        """The parts that the user names."""
        parts: tuple[Part, ...] = (
            "vae", "text_encoder", "tokenizer", "image_encoder", "audio_encoder", "preview", "transformer_2"
        )  # fmt: skip
        return {part: path for part in parts if (path := getattr(self, part)) is not None}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = TomlConfigSettingsSource(settings_cls)
        return init_settings, env_settings, toml, AncestorVariables(settings_cls)


def setting_sources() -> dict[str, str]:
    """Where each setting that is not its default comes from: a variable's name, or wancore.toml."""
    ancestor = AncestorVariables(Settings)()
    toml = TomlConfigSettingsSource(Settings)()
    found = {name: ANCESTOR.get(name, ON_THE_FLY) for name in ancestor}
    found |= dict.fromkeys(toml, "wancore.toml")
    variables = {name: f"WANCORE_{name.upper()}" for name in Settings.model_fields}
    return found | {name: v for name, v in variables.items() if v in os.environ or v.lower() in os.environ}


def load_settings(**flags: Any) -> Settings:
    """Settings with `flags` (those that are not None) on top. Raises `InvalidInput`."""
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise first_problem(error, "", known=", ".join(Settings.model_fields)) from error
