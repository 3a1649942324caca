"""Who may write where, when an attachment has put frames in front of the clip."""

from __future__ import annotations

import torch

from wancore.checkpoints.ownership import BASE
from wancore.engine.compose import compose
from wancore.engine.modules import ExpertFiles, split
from wancore.plugins.conditioning import Conditioning
from wancore.plugins.family import Base, Place, Window
from wancore.transformer.attached import Attached, Scope
from wancore.transformer.canvas import Canvas
from wancore.transformer.context import Context
from wancore.transformer.layout import build_layout
from wancore.transformer.load import load_transformer
from wancore.transformer.predict import EmbeddedText

HEAD, FRAMES = 2, 3


@torch.no_grad()
def test_audio_writes_nothing_outside_the_clip(stage):
    """Its residuals are rows of the clip, as many as there are, and the same as without references."""
    families = stage.engine.families
    family, files = families["infinitetalk"], stage.files
    views = split(ExpertFiles(stage.model, (("infinitetalk", files["audio module"]),)), (family,))
    model = load_transformer(views[BASE])
    base = Base(model.config)
    adapter = family.adapter(base, views["infinitetalk"], Place(torch.device("cpu"), torch.float32))
    attached = Attached({"infinitetalk": adapter}, model.config.num_layers)
    speech = spoken(stage, base)
    narrow, wide = (residual(model, attached, speech, head) for head in (0, HEAD))
    rows = FRAMES * 3 * 4
    assert (narrow.start, wide.start) == (0, HEAD * 3 * 4)
    assert len(narrow.tensor) == len(wide.tensor) == rows and narrow.tensor.abs().max() > 0
    assert torch.allclose(narrow.tensor, wide.tensor, atol=1e-5)


def spoken(stage, base):
    """What the audio family gives its adapter in a window."""
    from wancore.engine.attachment import AttachedFamily
    from wancore.request import Attachment

    request = stage.request("audio")
    (use,) = request.attachments
    assert isinstance(use, Attachment)
    plan = stage.engine.plan(request)
    models = stage.engine.models_for(plan.parts)
    family = AttachedFamily(plan.attachments[0], use, request, models, plan.seed)
    lead = plan.family.lead(request, plan.base, family.tools)
    family.prepare(plan.base, lead)
    _, conditioning = family.window(Window(0, 0, 9), None)
    return conditioning.data["infinitetalk"]["on"].data


def residual(model, attached, speech, head):
    """What is added after text attention of block 0, of the same clip with `head` frames in front."""
    canvas = compose(
        Conditioning(Canvas(FRAMES, 3, 4)), [("front", Conditioning(head=head))] if head else []
    ).canvas
    generator = torch.Generator().manual_seed(3)
    clip = torch.randn(FRAMES * 12, model.config.dim, generator=generator)
    x = torch.cat((torch.randn(head * 12, model.config.dim, generator=generator), clip))
    layout = build_layout(canvas, model.frequencies)
    text = EmbeddedText.of(model, torch.zeros(4, model.config.text_dim))
    e, e0 = model.embed_time(torch.tensor([500.0]))
    context = Context(
        model, layout, layout.stream(model.attend), torch.zeros(16, canvas.total, 6, 8), x,
        torch.tensor([500.0]), e, e0, text.text, None, text.keys, None,
    )  # fmt: skip
    (part,) = attached.bind(context, {"infinitetalk": speech}, Scope()).parts[0]
    return part.pieces.after_cross(x, part.values.data, None)
