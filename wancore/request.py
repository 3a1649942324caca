"""A request: what a user asks the engine for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from wancore.errors import InvalidInput
from wancore.lora.spec import LoraSpec
from wancore.plugins.inputs import first_problem

MAX_SEED = 2**63 - 1
MAX_PROMPT_BYTES = 16 * 1024


#: Of guidance: 1 is none.
Scale = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


class Size(BaseModel):
    """Pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(ge=16, le=8192)
    height: int = Field(ge=16, le=8192)

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


def parse_size(value: object) -> object:
    """`"832x480"` as width and height; anything else as it is."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"(\d+)x(\d+)", value.strip())
    if match is None:
        raise ValueError("WIDTHxHEIGHT in pixels, for example 832x480")
    return {"width": int(match[1]), "height": int(match[2])}


class NamedUse(BaseModel):
    """A named thing with parameters: a sampling method, an attached family."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    params: dict[str, Any] = {}


class Attachment(NamedUse):
    """A further family: parameters and inputs of its own.

    `modules`: its weights, where the model's file does not hold them; one for all experts, or one each.
    """

    modules: tuple[str, ...] = Field(default=(), max_length=2)
    inputs: dict[str, Path] = {}


class OverlapWindows(BaseModel):
    """Overlapping windows over a clip longer than the model was made for; pixel frames."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schedule: Literal["static_standard", "uniform_standard", "uniform_looped"] = "static_standard"
    frames: int = Field(default=81, ge=5)
    overlap: int = Field(default=16, ge=0)
    stride: int = Field(default=4, ge=1)
    fuse: Literal["linear", "pyramid"] = "linear"


class Request(BaseModel):
    """Everything that decides a video, apart from the weights themselves.

    A field left at None takes the family's default. `guidance`: one scale, or one per expert in
    the order of use. `sigmas`: noise levels 1..0 in place of steps and shift. `inputs`: role -> file.
    `model`: a folder or file, or a name under the models folder; `modules`: the lead family's weights
    beside it, one for all experts or one each. `loras`: adapters, on every expert unless they name one.
    `live`: roles whose files arrive while the request runs (`wancore.live`), instead of in `inputs`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str = ""
    negative_prompt: str | None = None
    family: str | None = None
    model: str | None = None
    modules: tuple[str, ...] = Field(default=(), max_length=2)
    size: Annotated[Size, BeforeValidator(parse_size)] | None = None
    frames: int | None = Field(default=None, ge=1, le=100_000)
    fps: float | None = Field(default=None, gt=0, le=240)
    steps: int | None = Field(default=None, ge=1, le=1000)
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED)
    solver: str | None = None
    guidance: tuple[Scale, ...] | None = Field(default=None, min_length=1, max_length=2)
    shift: float | None = Field(default=None, gt=0, le=100)
    sigmas: tuple[float, ...] | None = Field(default=None, min_length=2, max_length=1001)
    inputs: dict[str, Path] = {}
    params: dict[str, Any] = {}
    methods: tuple[NamedUse, ...] = ()
    windows: OverlapWindows | None = None
    attachments: tuple[Attachment, ...] = ()
    loras: tuple[LoraSpec, ...] = ()
    previews: bool = False
    live: tuple[str, ...] = ()

    @property
    def roles(self) -> dict[str, str]:
        """What was given for each role: a file, or `live`."""
        return {**{role: str(file) for role, file in self.inputs.items()}, **dict.fromkeys(self.live, "live")}

    def attaches(self, family: str) -> bool:
        """Whether `family` is attached to this request; otherwise it leads it."""
        return any(use.name == family for use in self.attachments)

    def of(self, use: Attachment) -> Request:
        """This request with the inputs and parameters of one of its attachments."""
        return self.model_copy(update={"inputs": use.inputs, "params": use.params, "family": use.name})


def parse_request(fields: dict[str, Any]) -> Request:
    """A request from plain values. Raises `InvalidInput` naming the first field that is wrong."""
    try:
        request = Request.model_validate(fields)
    except ValidationError as error:
        raise first_problem(error, "", known=", ".join(Request.model_fields)) from error
    for name in ("prompt", "negative_prompt"):
        text = getattr(request, name) or ""
        if len(text.encode()) > MAX_PROMPT_BYTES:
            raise InvalidInput(name, text, f"at most {MAX_PROMPT_BYTES} bytes")
    if request.sigmas is not None and (request.steps is not None or request.shift is not None):
        raise InvalidInput(
            "sigmas", list(request.sigmas), "nothing beside steps or shift, which they replace"
        )
    return request
