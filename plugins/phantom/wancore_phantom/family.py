"""Phantom as a family."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from wancore.errors import CheckpointError, InvalidInput
from wancore.plugins.family import Base, Carry, Conditioning, FamilyBase, Lead, Window
from wancore.plugins.inputs import InputSpec, InputType, check_roles, parse_parameters
from wancore_phantom.parameters import Parameters

if TYPE_CHECKING:
    from wancore.checkpoints.claim import Claim
    from wancore.checkpoints.view import FileView
    from wancore.engine.tools import Tools
    from wancore.request import Request
    from wancore.sampling.guidance import Guidance

STEPS, SHIFT, GUIDANCE = 50, 5.0, 7.5
WIDTH, HEIGHT = 832, 480
LARGE = 5120  # width of the 14B model, which was trained at another rate
MOST = 4


@dataclass(frozen=True)
class Prepared:
    conditioning: Conditioning
    image_scale: float


class PhantomFamily(FamilyBase):
    """Wan2.1-T2V 1.3B and 14B, retrained to read reference frames behind the video."""

    id = "phantom"
    name = "Phantom"
    help = "a video of the subjects in one to four pictures"
    inputs = (
        InputSpec("image", InputType.IMAGE, "the one picture"),
        InputSpec("image", InputType.IMAGE, f"the pictures, 1 to {MOST}", many=True),
    )
    parameters = Parameters

    def recognise(self, file: FileView) -> Claim | None:
        from wancore_phantom.recognise import recognise

        return recognise(file)

    def check(self, request: Request, base: Base, weights: FileView) -> None:
        config = base.transformer
        if config.in_dim != base.latent_channels or config.image_dim is not None:
            raise CheckpointError(weights.path, "Phantom is a text-to-video model; this one is another")
        check_roles(self.inputs, request.inputs, self.id)
        parse_parameters(Parameters, request.params)
        pictures(request)

    def lead(self, request: Request, base: Base, tools: Tools) -> Lead:
        from wancore_phantom.prompts import NEGATIVE

        width, height = (request.size.width, request.size.height) if request.size else (WIDTH, HEIGHT)
        multiple = base.spatial_stride * base.transformer.patch_size[1]
        if width % multiple or height % multiple:
            raise InvalidInput("size", f"{width}x{height}", f"multiples of {multiple} pixels")
        large = base.transformer.dim >= LARGE
        frames = request.frames or (121 if large else 81)
        if frames % 4 != 1:
            raise InvalidInput("frames", frames, "4n + 1, for example 81 or 121")
        scales = request.guidance or (GUIDANCE,)
        if len(scales) > 1:
            raise InvalidInput("guidance", scales, "one scale, of the text; image_scale is a parameter")
        return Lead(
            width=width,
            height=height,
            frames=frames,
            fps=Fraction(request.fps).limit_denominator(1001)
            if request.fps
            else Fraction(24 if large else 16),
            steps=request.steps or STEPS,
            solver=request.solver or "unipc",
            shift=request.shift or SHIFT,
            guidance_scales=scales,
            negative_prompt=NEGATIVE if request.negative_prompt is None else request.negative_prompt,
        )

    def prepare(self, request: Request, base: Base, lead: Lead, tools: Tools) -> Prepared:
        from wancore_phantom.prepare import prepare

        parameters = parse_parameters(Parameters, request.params)
        return Prepared(prepare(request.prompt, pictures(request), base, lead, tools), parameters.image_scale)

    def window(self, prepared: Prepared, window: Window, carry: Carry | None, tools: Tools) -> Conditioning:
        return prepared.conditioning

    def guidance(self, prepared: Prepared, lead: Lead, window: Window) -> Guidance:
        from wancore_phantom.guidance import phantom_guidance

        return phantom_guidance(lead.guidance_at, prepared.image_scale)


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
