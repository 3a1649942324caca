"""What a user can set of a talking video, beside what every request has."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from wancore.plugins.inputs import ParameterModel

Edge = Annotated[float, Field(allow_inf_nan=False)]
Box = tuple[Edge, Edge, Edge, Edge]

#: What an attachment may set: the rest is the lead's.
ATTACHED = frozenset({"audio_type", "speakers", "boxes", "audio_strength"})


class TalkingParameters(ParameterModel):
    audio_scale: float | None = Field(
        None, ge=0, le=20, description="guidance by audio, 1: none; default 4, with distilled weights 2"
    )
    distilled: bool | None = Field(
        None,
        description="the model runs with a step-distillation LoRA: 4 steps, shift 5, guidance 1, and euler,"
        " whose levels end at 0; default: yes for up to 8 steps",
    )
    audio_type: Literal["para", "add"] | None = Field(
        None,
        description="with two files: para, both on one time axis and equally long (to one video frame);"
        " add, speaker 1, then speaker 2",
    )
    speakers: Literal[1, 2] | None = Field(
        None, description="people in the picture who can talk; one without a file is silent"
    )
    boxes: tuple[Box, ...] | None = Field(
        None,
        min_length=2,
        max_length=2,
        description="each speaker's place as [row_min, col_min, row_max, col_max] in pixels of the picture,"
        " rows first; default: the left and the right half",
    )
    resolution: Literal[480, 720] = Field(
        480, description="the set of sizes to choose from by the shape of the picture, where no size is given"
    )
    window: int = Field(81, ge=5, le=401, description="frames that are denoised at a time, 4n + 1")
    motion_frame: int | None = Field(
        None,
        ge=1,
        description="frames a window takes over from the one before, 4n + 1; default: the setting of that"
        " name (MOTION_FRAME), else the family's own",
    )
    short_last_window: bool = Field(
        False,
        description="make the last window only as long as it must be: faster, and its frames differ from"
        " those of a whole window",
    )
    apg: bool = Field(False, description="adaptive projected guidance: less saturation at high scales")
    apg_momentum: float = Field(-0.75, gt=-1, lt=1, description="weight of the steps before in apg")
    apg_threshold: float = Field(55.0, gt=0, description="largest norm of a guidance direction in apg")
    color_correction: float = Field(
        1.0, ge=0, le=1, description="how far frames are brought to the colours of the first picture"
    )
    audio_strength: float = Field(1.0, ge=0, le=4, description="factor on what the audio adds in each block")

    @field_validator("boxes", mode="before")
    @classmethod
    def of_two_speakers(cls, boxes: object) -> object:
        if isinstance(boxes, list | tuple):
            whole = [b for b in boxes if isinstance(b, list | tuple) and len(b) == 4]
            if len(whole) != 2 or len(boxes) != 2:
                raise ValueError("two boxes [row_min, col_min, row_max, col_max], one for each speaker")
        return boxes

    @field_validator("window", "motion_frame")
    @classmethod
    def whole_latent_frames(cls, frames: int | None) -> int | None:
        if frames is not None and frames % 4 != 1:
            raise ValueError("4n + 1, for example 9, 25 or 81")
        return frames
