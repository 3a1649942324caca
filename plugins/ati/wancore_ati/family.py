"""ATI as a family, attached to an image-to-video request."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from wancore.plugins.bases import reads_image, require_image
from wancore.plugins.claims import claim_by_name
from wancore.plugins.conditioning import Conditioning
from wancore.plugins.family import Base, Carry, FamilyBase, Lead, Role, Window
from wancore.plugins.inputs import InputSpec, InputType, parse_parameters
from wancore_ati.parameters import Parameters

if TYPE_CHECKING:
    from torch import Tensor

    from wancore.checkpoints.base_keys import BaseSpec
    from wancore.checkpoints.claim import Claim
    from wancore.checkpoints.view import FileView
    from wancore.engine.tools import Tools
    from wancore.request import Request
    from wancore_ati.tracks import Tracks


@dataclass(frozen=True)
class Prepared:
    """`points` [N, P, 3] in pixels of a picture of the given size."""

    points: Tensor
    width: int
    height: int
    fps: Fraction
    parameters: Parameters


class AtiFamily(FamilyBase):
    """ATI: its model is Wan2.1-I2V-14B-480P retrained, its conditioning a change to the image latents."""

    id = "ati"
    name = "ATI"
    help = "points of the first picture move along drawn tracks; attached to an image-to-video request"
    roles: frozenset[Role] = frozenset({"attachment"})
    inputs = (
        InputSpec("tracks", InputType.TRACKS, "JSON or .npz: where points are, 24 a second", required=True),
    )
    parameters = Parameters

    def recognise(self, file: FileView) -> Claim | None:
        return claim_by_name(file, self.id, fits, alternatives=("wan",))

    def check(self, request: Request, base: Base, weights: FileView) -> None:
        require_image(base, weights, self.name)
        tracks_in(request.inputs["tracks"])

    def prepare(self, request: Request, base: Base, lead: Lead, tools: Tools) -> Prepared:
        parameters, tracks = parse_parameters(Parameters, request.params), tracks_in(request.inputs["tracks"])
        width, height = parameters.picture or tracks.size or (lead.width, lead.height)
        return Prepared(tracks.points, width, height, lead.fps, parameters)

    def window(self, prepared: Prepared, window: Window, carry: Carry | None, tools: Tools) -> Conditioning:
        from wancore_ati.painting import painted
        from wancore_ati.tracks import processed

        def edit(y: Tensor) -> Tensor:
            frames = 1 + 4 * (y.shape[1] - 1)
            tracks = processed(
                prepared.points, prepared.width, prepared.height, frames, prepared.fps, window.start
            )
            return painted(y, tracks, prepared.parameters.temperature, prepared.parameters.topk)

        return Conditioning(edit_channels=edit)


def fits(spec: BaseSpec) -> bool:
    """Whether a model reads one first frame, as the one does that was retrained."""
    return reads_image(spec) and spec.image_positions is None


def tracks_in(path: Path) -> Tracks:
    """Raises `InvalidInput`."""
    from zipfile import BadZipFile

    from wancore.errors import InvalidInput
    from wancore_ati.tracks import ACCEPTED, read_tracks

    try:
        return read_tracks(path)
    except (OSError, ValueError, BadZipFile) as error:
        raise InvalidInput("inputs.tracks", str(path), f"{ACCEPTED}; {error}") from error
