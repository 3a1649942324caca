"""What a family says about a file it recognises."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["base", "module", "merged", "low-rank"]
DecidedBy = Literal["keys", "config", "hint"]

#: Names that say nothing about a model; the folder above says more.
GENERIC_NAMES = re.compile(
    r"(diffusion_pytorch_model|model)(-\d{5}-of-\d{5})?(\.safetensors(\.index\.json)?)?"
    r"|transformer(_2)?|(high|low)_noise_model|snapshots|[0-9a-f]{40}"
)


@dataclass(frozen=True)
class Claim:
    """A family's claim on one file.

    `kind`: a whole base model, a module to put on one, both merged, or a low-rank file. `family`,
    `variant`: whose it is, and which of its models. `needs`: what has to be given beside the file, one
    phrase each. `alternatives`: other families whose files have the same keys; with some, keys alone
    do not decide, only config.json or a hint in the file name does (`decided_by`), or the user.
    `general`: the family of the plain model, which yields to any other that has a better reason.
    """

    kind: Kind
    family: str
    variant: str = ""
    needs: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()
    decided_by: DecidedBy = "keys"
    general: bool = False

    @property
    def certain(self) -> bool:
        """Whether the file itself leaves no other family."""
        return self.decided_by == "keys" and not self.alternatives


def hinted(path: Path, *words: str) -> bool:
    """Whether the name of a checkpoint says one of `words` (lower case, no letters on either side).

    The name is the file's or folder's, with the folders above it as long as the name is generic
    (`high_noise_model/diffusion_pytorch_model.safetensors` is named by the folder above). A hint sets
    defaults or chooses between families with the same keys; it never decides a shape.
    """
    name = "/".join(telling_names(path)).lower()
    return any(re.search(rf"(?<![a-z]){re.escape(word)}(?![a-z])", name) for word in words)


def telling_names(path: Path) -> list[str]:
    """The last parts of `path`, up to and including the first that is not generic."""
    names: list[str] = []
    for part in reversed(path.absolute().parts):
        names.append(part)
        if not GENERIC_NAMES.fullmatch(part):
            break
    return names
