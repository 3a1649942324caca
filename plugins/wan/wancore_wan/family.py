"""The base Wan models as a family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from wancore.errors import InvalidInput
from wancore.plugins.conditioning import Conditioning
from wancore.plugins.family import Base, FamilyBase, Lead
from wancore.plugins.inputs import InputSpec, InputType, ParameterModel, parse_parameters
from wancore.plugins.lead import settled_lead, settled_size, suited
from wancore.request import Size
from wancore_wan.variants import Variant, with_experts

if TYPE_CHECKING:
    from wancore.checkpoints.claim import Claim
    from wancore.checkpoints.view import FileView
    from wancore.engine.tools import Tools
    from wancore.request import Request


class Parameters(ParameterModel):
    """What only this family takes."""

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
        variant = with_experts(base.variant, len(base.experts))
        check_inputs(request, variant)
        request = suited(request, base.defaults)
        width, height = video_size(request, base, variant, tools)
        return settled_lead(request, base, variant.defaults(width * height), size=(width, height))

    def prepare(self, request: Request, base: Base, lead: Lead, tools: Tools) -> Conditioning:
        from wancore_wan.prepare import prepare

        return prepare(request, with_experts(base.variant, len(base.experts)), base, lead, tools)


def check_inputs(request: Request, variant: Variant) -> None:
    """The model decides which images it needs, and takes no others."""
    if variant.image == "required" and "image" not in request.inputs:
        raise InvalidInput("inputs.image", None, f"an image file; {variant.help} starts from one")
    if variant.last_image and "last_image" not in request.inputs:
        raise InvalidInput("inputs.last_image", None, f"an image file; {variant.help} ends in one")
    for role, taken in (("image", variant.image != "none"), ("last_image", variant.last_image)):
        if role in request.inputs and not taken:
            raise InvalidInput(
                f"inputs.{role}", str(request.inputs[role]), f"nothing; {variant.help} takes no {role}"
            )


def video_size(request: Request, base: Base, variant: Variant, tools: Tools) -> tuple[int, int]:
    """(width, height): as asked for, or of the area asked for in the shape of the image."""
    from wancore_wan.sizes import area_size, covered_size

    parameters = parse_parameters(Parameters, request.params)
    patch = base.transformer.patch_size[1]
    multiple = base.spatial_stride * patch
    published = variant.published
    if "image" not in request.inputs:
        if parameters.max_area is not None:
            raise InvalidInput(
                "params.max_area", parameters.max_area, "nothing without an image; give a size"
            )
        return settled_size(request, base, published.width, published.height)
    wanted = request.size or Size(width=published.width, height=published.height)
    area = parameters.max_area or wanted.width * wanted.height
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
