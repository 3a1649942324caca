"""Golden cases of the transformer with the audio adapter on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from wancore.checkpoints.base import transformer_config
from wancore.checkpoints.canonical import open_transformer
from wancore.checkpoints.ownership import BASE, Owner, base_owner, owned
from wancore.parity import Case
from wancore.plugins.family import Base, Place
from wancore.transformer.attached import Attached, Scope
from wancore.transformer.canvas import Canvas
from wancore.transformer.layout import build_layout
from wancore.transformer.load import load_transformer
from wancore.transformer.model import WanTransformer
from wancore.transformer.predict import EmbeddedText, Inputs, predict
from wancore.transformer.runblocks import RunBlocks, run_blocks
from wancore_talking.adapter import Speech
from wancore_talking.guidance import SILENT
from wancore_talking.keys import KEYS
from wancore_talking.weights import load_adapter

SLOT = "audio"


@dataclass(frozen=True)
class Loaded:
    """A case's merged checkpoint, split by owner and loaded."""

    case: Case
    model: WanTransformer
    attached: Attached

    @classmethod
    def of(cls, case: Case) -> Loaded:
        with case.checkpoint(case.config) as folder:
            views = owned(open_transformer(folder), [base_owner(), Owner(SLOT, KEYS)])
            model = load_transformer(views[BASE], attend=case.attend, **case.place)
            base = Base(transformer_config(views[BASE]))
            adapter = load_adapter(base, views[SLOT], Place(torch.device(case.device), case.place["dtype"]))
        return cls(case, model, Attached({SLOT: adapter}, model.config.num_layers))

    def predict(
        self,
        x: Tensor,
        t: Tensor,
        text: Tensor,
        variant: str,
        variants: Mapping[str, Speech],
        run: RunBlocks = run_blocks,
    ) -> Tensor:
        """Velocity [C, F, h, w] at x [C, F, h, w], t [1], text rows [n, width], with one audio variant."""
        _, rows, columns = self.model.config.patch_size
        canvas = Canvas(x.shape[1], x.shape[2] // rows, x.shape[3] // columns)
        inputs = Inputs(
            torch.cat((x, self.case.inputs["y"])),
            t,
            build_layout(canvas, self.model.frequencies, device=self.case.device),
            EmbeddedText.of(self.model, text, self.case.inputs["clip_fea"][0]),
            data={SLOT: variants[variant]},
            scope=Scope(variants={SLOT: variant}),
            run=run,
        )
        return predict(self.model, inputs, self.attached)


def speech_of(case: Case) -> dict[str, Speech]:
    speech = Speech(case.inputs["audio"], case.inputs["ref_target_masks"])
    return {"on": speech, SILENT: speech.silent()}


@torch.no_grad()
def transformer(case: Case) -> Mapping[str, Tensor]:
    loaded, inputs, speech = Loaded.of(case), case.inputs, speech_of(case)
    passes = {"pred": "on", "pred_null_audio": SILENT}
    return {
        name: loaded.predict(inputs["x"], inputs["t"], inputs["context"], variant, speech)
        for name, variant in passes.items()
        if name in case.expected
    }
