"""MAGREF as a family."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from wancore.errors import CheckpointError, InvalidInput
from wancore.plugins.family import Base, Carry, Conditioning, DecodeSpan, FamilyBase, Lead, Window
from wancore.plugins.inputs import InputSpec, InputType, check_roles, parse_parameters
from wancore_magref.grids import MOST, grid_size
from wancore_magref.parameters import Parameters

if TYPE_CHECKING:
    from wancore.checkpoints.claim import Claim
    from wancore.checkpoints.view import FileView
    from wancore.engine.tools import Tools
    from wancore.request import Request
    from wancore.transformer.canvas import Canvas

STEPS, SHIFT, GUIDANCE, FPS = 40, 3.0, 5.0, Fraction(15)
WIDTH, HEIGHT, FRAMES = 832, 480, 77
DROPPED = 4  # pixel frames that show the canvas


@dataclass(frozen=True)
class Prepared:
    conditioning: Conditioning


class MagrefFamily(FamilyBase):
    """Wan2.1-I2V-14B-480P, retrained to read a collage of pictures in place of a first frame."""

    id = "magref"
    name = "MAGREF"
    help = "a video of the people, things and places in up to eight pictures"
    inputs = (
        InputSpec("image", InputType.IMAGE, "the one picture"),
        InputSpec("image", InputType.IMAGE, f"the pictures, 1 to {MOST}", many=True),
    )
    parameters = Parameters

    def recognise(self, file: FileView) -> Claim | None:
        from wancore_magref.recognise import recognise

        return recognise(file)

    def check(self, request: Request, base: Base, weights: FileView) -> None:
        from wancore_magref.recognise import CHANNELS

        config = base.transformer
        if config.in_dim != CHANNELS or config.image_dim is None:
            problem = "MAGREF is an image-to-video model with an image encoder; this one is another"
            raise CheckpointError(weights.path, problem)
        check_roles(self.inputs, request.inputs, self.id)
        places(parse_parameters(Parameters, request.params), pictures(request))

    def lead(self, request: Request, base: Base, tools: Tools) -> Lead:
        from wancore_magref.prompts import NEGATIVE

        width, height = (request.size.width, request.size.height) if request.size else (WIDTH, HEIGHT)
        multiple = base.spatial_stride * base.transformer.patch_size[1]
        if width % multiple or height % multiple:
            raise InvalidInput("size", f"{width}x{height}", f"multiples of {multiple} pixels")
        frames = request.frames or FRAMES
        if frames % 4 != 1:
            raise InvalidInput("frames", frames, f"4n + 1, for example {FRAMES}")
        scales = request.guidance or (GUIDANCE,)
        if len(scales) > 1:
            raise InvalidInput("guidance", scales, "one scale: this model has one transformer")
        return Lead(
            width=width,
            height=height,
            frames=frames,
            fps=Fraction(request.fps).limit_denominator(1001) if request.fps else FPS,
            steps=request.steps or STEPS,
            solver=request.solver or "unipc",
            shift=request.shift or SHIFT,
            guidance_scales=scales,
            negative_prompt=NEGATIVE if request.negative_prompt is None else request.negative_prompt,
        )

    def prepare(self, request: Request, base: Base, lead: Lead, tools: Tools) -> Prepared:
        from wancore_magref.prepare import prepare

        roles = pictures(request)
        placed = places(parse_parameters(Parameters, request.params), roles)
        return Prepared(prepare(request.prompt, roles, placed, base, lead, tools))

    def window(self, prepared: Prepared, window: Window, carry: Carry | None, tools: Tools) -> Conditioning:
        return prepared.conditioning

    def decode(self, canvas: Canvas) -> Sequence[DecodeSpan]:
        """Without the first frames, in which the pictures still stand on their canvas."""
        return (DecodeSpan(0, canvas.frames, drop=DROPPED),)


def pictures(request: Request) -> list[str]:
    """The roles of the pictures in their order. Raises `InvalidInput`."""
    numbered = [role for role in request.inputs if role != "image"]
    if not request.inputs:
        raise InvalidInput("inputs.image", None, f"an image file, or image[0] to image[{MOST - 1}]")
    if "image" in request.inputs and numbered:
        raise InvalidInput(
            "inputs.image", str(request.inputs["image"]), "nothing beside image[0], image[1], …"
        )
    if len(request.inputs) > MOST:
        raise InvalidInput("inputs.image", f"{len(request.inputs)} pictures", f"at most {MOST}")
    return sorted(request.inputs, key=number)


def number(role: str) -> int:
    found = re.search(r"\[(\d+)\]", role)
    return int(found[1]) if found else 0


def places(parameters: Parameters, roles: Sequence[str]) -> tuple[int, ...]:
    """The block of each picture. Raises `InvalidInput`."""
    count, blocks = len(roles), grid_size(len(roles))
    given = tuple(range(count)) if parameters.places is None else parameters.places
    if len(given) != count or len(set(given)) != count or max(given) >= blocks:
        accepted = f"{count} different numbers, one for each picture, 0 to {blocks - 1}"
        raise InvalidInput("params.places", list(given), accepted)
    return given
