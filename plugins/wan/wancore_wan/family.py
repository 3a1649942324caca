"""The base Wan models as a family."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from wancore.errors import InvalidInput
from wancore.plugins.family import Base, Carry, Conditioning, FamilyBase, Lead, Window
from wancore.plugins.inputs import InputSpec, InputType, check_roles, parse_parameters
from wancore_wan.variants import SMALL_AREA, Variant, suited, with_experts

if TYPE_CHECKING:
    from wancore.checkpoints.claim import Claim
    from wancore.checkpoints.view import FileView
    from wancore.engine.tools import Tools
    from wancore.request import Request
    from wancore_wan.prepare import Prepared


class Parameters(BaseModel):
    """What only this family takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_area: int | None = Field(
        default=None,
        ge=256,
        description="pixels of a video that follows an image's shape; default: width x height of the size",
    )


class WanFamily(FamilyBase):
    """Wan 2.1 T2V, I2V and FLF2V, Wan 2.2 T2V-A14B, I2V-A14B and TI2V-5B."""

    id = "wan"
    name = "Wan 2.1 / 2.2"
    help = "the base models: text, image, or first and last frame to video"
    inputs = (
        InputSpec("image", InputType.IMAGE, "first frame; I2V, FLF2V and TI2V models"),
        InputSpec("last_image", InputType.IMAGE, "last frame; FLF2V models"),
    )
    parameters = Parameters

    def recognise(self, file: FileView) -> Claim | None:
        from wancore_wan.recognise import recognise

        return recognise(file)

    def lead(self, request: Request, base: Base, tools: Tools) -> Lead:
        variant = suited(with_experts(base.variant, len(base.experts)), base.defaults)
        check_inputs(request, variant)
        frames = request.frames or variant.frames
        if frames % 4 != 1:
            raise InvalidInput("frames", frames, "4n + 1, for example 49, 81 or 121")
        width, height = settled_size(request, base, variant, tools)
        small = variant.small_shift is not None and width * height <= SMALL_AREA
        default_shift = variant.small_shift if small and variant.small_shift else variant.shift
        return Lead(
            width=width,
            height=height,
            frames=frames,
            fps=Fraction(request.fps).limit_denominator(1001) if request.fps else variant.fps,
            steps=request.steps or variant.steps,
            solver=request.solver or base.defaults.solver or "unipc",
            shift=request.shift or default_shift,
            guidance_scales=settled_guidance(request, base, variant),
            negative_prompt=variant.negative if request.negative_prompt is None else request.negative_prompt,
            boundary=(base.boundary or variant.boundary) if len(base.experts) == 2 else None,
        )

    def prepare(self, request: Request, base: Base, lead: Lead, tools: Tools) -> Prepared:
        from wancore_wan.prepare import prepare

        return prepare(request, with_experts(base.variant, len(base.experts)), base, lead, tools)

    def window(self, prepared: Prepared, window: Window, carry: Carry | None, tools: Tools) -> Conditioning:
        return prepared.conditioning


def check_inputs(request: Request, variant: Variant) -> None:
    """The model decides which images it needs, and takes no others."""
    check_roles(WanFamily.inputs, request.inputs, "wan")
    if variant.image == "required" and "image" not in request.inputs:
        raise InvalidInput("inputs.image", None, f"an image file; {variant.help} starts from one")
    if variant.last_image and "last_image" not in request.inputs:
        raise InvalidInput("inputs.last_image", None, f"an image file; {variant.help} ends in one")
    for role, taken in (("image", variant.image != "none"), ("last_image", variant.last_image)):
        if role in request.inputs and not taken:
            raise InvalidInput(
                f"inputs.{role}", str(request.inputs[role]), f"nothing; {variant.help} takes no {role}"
            )


def settled_size(request: Request, base: Base, variant: Variant, tools: Tools) -> tuple[int, int]:
    """(width, height): as asked for, or of the area asked for in the shape of the image."""
    from wancore_wan.sizes import area_size, covered_size

    parameters = parse_parameters(Parameters, request.params)
    patch = base.transformer.patch_size[1]
    multiple = base.spatial_stride * patch
    width = request.size.width if request.size else variant.width
    height = request.size.height if request.size else variant.height
    if "image" not in request.inputs:
        if parameters.max_area is not None:
            raise InvalidInput(
                "params.max_area", parameters.max_area, "nothing without an image; give a size"
            )
        if width % multiple or height % multiple:
            raise InvalidInput("size", f"{width}x{height}", f"multiples of {multiple} pixels")
        return width, height
    area = parameters.max_area or width * height
    image_height, image_width = tools.image("image").shape[:2]
    if variant.image == "optional":
        height, width = covered_size(image_height, image_width, area, multiple)
    else:
        height, width = area_size(image_height, image_width, area, base.spatial_stride, patch)
    if width < multiple or height < multiple:
        raise InvalidInput(
            "size", f"{area} pixels", f"an area that holds the image's shape in steps of {multiple} pixels"
        )
    return width, height


def settled_guidance(request: Request, base: Base, variant: Variant) -> tuple[float, ...]:
    """One scale per expert, in the order of use."""
    scales = request.guidance or variant.guidance
    if len(scales) > len(base.experts):
        raise InvalidInput("guidance", scales, "one scale: this model has one transformer")
    return scales if len(scales) == len(base.experts) else scales * len(base.experts)
