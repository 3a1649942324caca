"""What one family contributes to one window: what the transformer reads, and how it follows along."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from wancore.sampling.hooks import Hooks, Step
    from wancore.transformer.adapter import Adapter
    from wancore.transformer.canvas import Along, Canvas, Clock, Segment
    from wancore.transformer.model import WanTransformer
    from wancore.transformer.plan import Plan


@dataclass(frozen=True)
class SegmentSource:
    """A segment before it is embedded, since that takes an expert's weights.

    `embed(model, adapter)` makes it; called once per window and expert. `slot`: on in the passes
    whose variant of this slot is `variant`. `sliced(frames)`: the source for an overlapping window
    over these clip frames, where the segment goes with the clip; None: the same in every window.
    """

    slot: str
    embed: Callable[[WanTransformer, Adapter | None], Segment]
    variant: str = "on"
    sliced: Callable[[Sequence[int]], SegmentSource] | None = None


@dataclass(frozen=True)
class Channels:
    """Base input channels beside the noise [C, F, h, w], and how they follow an overlapping window.

    `sliced(tensor, frames)` gives those of the latent frames `frames` (an index list); None: the
    family has no answer, so overlapping windows are refused. `moving(x, step)`: those that follow
    `tensor`'s, worked out at every step from the noisy canvas x [C, F, h, w] as the model sees it;
    overlapping windows are then refused too.
    """

    tensor: Tensor
    sliced: Callable[[Tensor, Sequence[int]], Tensor] | None = None
    moving: Callable[[Tensor, Step], Tensor] | None = None


@dataclass(frozen=True)
class Payload:
    """One slot's conditioning in one variant, and how it follows an overlapping window.

    `along` FIXED: it is the same in every window; else `sliced(data, frames)` gives the part for the
    clip frames `frames`. With neither, overlapping windows are refused.
    """

    data: Any
    along: Along | None = None
    sliced: Callable[[Any, Sequence[int]], Any] | None = None


#: A family's own way to predict the velocity [C, F, h, w] of one pass of the canvas x [C, F, h, w]:
#: (transformer, x, step, the variant of every slot that is not simply on). It runs whatever it likes.
Denoiser = Callable[["WanTransformer", "Tensor", "Step", Mapping[str, str]], "Tensor"]

#: What a lead with a denoiser of its own claims: nobody else's adapter would act.
DENOISER = "the denoiser"


@dataclass(frozen=True)
class Conditioning:
    """What one family contributes to one window.

    `texts`, `images`: rows of the text encoder [n, C] and CLIP features [L, C] by variant;
    a slot a pass does not name is "on". `data`: for the family's adapter, by slot and variant.
    `edit_channels`: an attachment's change to the lead's channels [C, F, h, w].
    `head`: service frames that an attachment needs in front of the lead's canvas; a lead has them in
    its `canvas`. Hooks do not see them. `denoiser`: a lead's, in place of the blocks with adapters on
    them; such a lead claims `DENOISER`, so that nothing is attached to it.
    """

    canvas: Canvas | None = None
    channels: Channels | None = None
    clock: Clock | None = None
    texts: Mapping[str, Tensor] = field(default_factory=dict)
    images: Mapping[str, Tensor] = field(default_factory=dict)
    segments: tuple[SegmentSource, ...] = ()
    data: Mapping[str, Mapping[str, Payload]] = field(default_factory=dict)
    hooks: tuple[Hooks, ...] = ()
    plan: Plan | None = None
    edit_channels: Callable[[Tensor], Tensor] | None = None
    head: int = 0
    denoiser: Denoiser | None = None
