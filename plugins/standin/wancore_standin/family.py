"""Stand-In as a family, attached to any text-to-video request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wancore.errors import InvalidInput
from wancore.plugins.conditioning import Conditioning, Payload
from wancore.plugins.family import Base, Carry, FamilyBase, Lead, Place, Role, Window
from wancore.plugins.inputs import InputSpec, InputType, parse_parameters
from wancore_standin.parameters import Parameters

if TYPE_CHECKING:
    from wancore.checkpoints.view import FileView
    from wancore.engine.tools import Tools
    from wancore.request import Request
    from wancore.transformer.adapter import Adapter
    from wancore_standin.adapter import Face


class StandInFamily(FamilyBase):
    """Stand-In for Wan2.1-T2V-14B and, with one file for each expert, Wan2.2-T2V-A14B."""

    id = "standin"
    name = "Stand-In"
    help = "the person in a picture, in another family's video"
    roles: frozenset[Role] = frozenset({"attachment"})
    inputs = (
        InputSpec("face", InputType.IMAGE, "a picture of one face", required=True),
        InputSpec("face_mask", InputType.MASK, "white on the face, as large as its picture"),
    )
    parameters = Parameters
    keys = ("blocks.N.self_attn.{q_loras,k_loras,v_loras}.{down,up}.weight",)  # shaped like a LoRA, and none
    needs = ("the Wan text-to-video model it was trained on",)

    def check(self, request: Request, base: Base, weights: FileView) -> None:
        from wancore_standin.checkpoint import check

        check(base, weights)

    def adapter(self, base: Base, weights: FileView, place: Place) -> Adapter:
        from wancore_standin.checkpoint import load

        return load(base, weights, place)

    def prepare(self, request: Request, base: Base, lead: Lead, tools: Tools) -> Face:
        import numpy as np

        from wancore.media.convert import one_frame
        from wancore_standin.adapter import Face
        from wancore_standin.face import face_of, on_white

        parameters = parse_parameters(Parameters, request.params)
        picture = np.asarray(tools.image("face"))
        check_box(parameters, picture.shape[1], picture.shape[0])
        mask = np.asarray(tools.image("face_mask")) if "face_mask" in request.inputs else None
        if mask is not None and mask.shape != picture.shape:
            given = f"{mask.shape[1]}x{mask.shape[0]}"
            accepted = f"an image of {picture.shape[1]}x{picture.shape[0]}, as the face's picture is"
            raise InvalidInput("inputs.face_mask", given, accepted)
        boxes = [parameters.box] if parameters.box else []
        face = face_of(picture, boxes)
        if mask is not None:
            face = on_white(face, (face_of(mask, boxes)[..., 0] > 127).astype(np.uint8))
        return Face(tools.vae.encode(one_frame(face).to(tools.device)), parameters.strength)

    def window(self, prepared: Face, window: Window, carry: Carry | None, tools: Tools) -> Conditioning:
        from wancore.transformer.canvas import Along

        return Conditioning(data={self.id: {"on": Payload(prepared, Along.FIXED)}})


def check_box(parameters: Parameters, width: int, height: int) -> None:
    """Raises `InvalidInput` for a box that is not in the picture."""
    if parameters.box is None:
        return
    left, top, right, bottom = parameters.box
    if not (left >= 0 and right <= width and top >= 0 and bottom <= height):
        raise InvalidInput(
            "params.box", list(parameters.box), f"a box within the picture of {width}x{height}"
        )
