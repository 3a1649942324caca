"""What LoRA files are, from their headers: for lists of them. Needs no torch."""

from __future__ import annotations

from pathlib import Path

from wancore.checkpoints.inspect import Looked
from wancore.checkpoints.open import open_view
from wancore.checkpoints.twins import Twins
from wancore.errors import CheckpointError
from wancore.lora.foreign import refuse_known


class Describer:
    """Many files one after another; those with the same header are looked at once."""

    def __init__(self) -> None:
        self._twins = Twins()

    def describe(self, path: Path) -> str:
        """`a LoRA file of rank 64 for width 5120, on self-attention (40 blocks)`.

        Raises `CheckpointError` for other files.
        """
        looked = self._twins.looked(path) or Looked.of(open_view(path))
        refuse_known(looked.canonical)
        if looked.lora is None:
            raise CheckpointError(looked.view.path, "is no LoRA file")
        kinds = [claim.name for claim in looked.components if claim.role == "lora"]
        return f"a {' and '.join(kinds)} file {looked.lora.phrase}".rstrip()
