"""What kind of autoencoder a checkpoint holds, told by its keys."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum

from wancore.checkpoints import FileView
from wancore.errors import CheckpointError
from wancore.vae.diffusers_keys import original_names

PREFIX = "model."
ALL_IN_ONE = "vae."  # its place in a file that holds other models too


class VaeKind(Enum):
    """The layouts that are read; the value is what a message calls it."""

    WAN_2_1 = "Wan 2.1 VAE"
    WAN_2_2 = "Wan 2.2 VAE"
    TAEHV = "TAEHV preview autoencoder"
    TAEHV_SUPER = "TAEHV preview autoencoder with the larger decoder"

    @property
    def is_preview(self) -> bool:
        return self in (VaeKind.TAEHV, VaeKind.TAEHV_SUPER)


@dataclass(frozen=True)
class VaeFile:
    """A recognised checkpoint: `view` has the original key names, whatever the file's own are."""

    kind: VaeKind
    view: FileView


#: A key that only this kind has, and its number of dimensions.
MARKS = (
    (VaeKind.WAN_2_1, "decoder.upsamples.0.residual.0.gamma", 4),
    (VaeKind.WAN_2_2, "decoder.upsamples.0.upsamples.0.residual.0.gamma", 4),
    (VaeKind.TAEHV, "decoder.3.conv.4.weight", 4),
    (VaeKind.TAEHV_SUPER, "decoder.1.conv.3.weight", 4),
)


def recognise(view: FileView) -> VaeFile | None:
    """The autoencoder in a checkpoint, or None if it is none of those known."""
    view = without_prefix(view)
    if "decoder.up_blocks.0.resnets.0.norm1.gamma" in view and "post_quant_conv.weight" in view:
        view = view.renamed(original_names(view.entries))
    for kind, key, dimensions in MARKS:
        if key in view and len(view.shape(key)) == dimensions:
            return VaeFile(kind, view)
    return None


def without_prefix(view: FileView) -> FileView:
    """Cuts `model.` off the names if most of them have it; of an all-in-one file, keeps only its VAE.

    Raises `CheckpointError` where two names become one.
    """
    if ALL_IN_ONE + "decoder.conv1.weight" in view or ALL_IN_ONE + "decoder.conv_in.weight" in view:
        view = view.under(ALL_IN_ONE)
    prefixed = [key for key in view.entries if key.startswith(PREFIX)]
    if 2 * len(prefixed) <= len(view.entries):
        return view
    names = {key: key.removeprefix(PREFIX) for key in view.entries}
    twice = [name for name, count in Counter(names.values()).items() if count > 1]
    if twice:
        raise CheckpointError(view.path, f"stands there with and without {PREFIX!r}", twice[0])
    return view.renamed(names)
