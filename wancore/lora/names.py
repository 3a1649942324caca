"""The names that LoRA files have for a model's modules: native, diffusers', and with underscores.

Underscore names cannot be split (`cross_attn_k_img`, `text_embedding_0`), so every spelling is entered
into a table made from the model's own parameter names.
"""

from __future__ import annotations

from collections.abc import Mapping

from wancore.checkpoints.canonical import NOTHING, diffusers_map
from wancore.checkpoints.keymap import KeyMap

Shape = tuple[int, ...]
#: Parameters that stand in a parent's namespace under another name in some files.
SHORT = {"head": "head.head"}


class NameTable:
    """Canonical module names by every spelling of them.

    `shapes`: the parameters of the base and of attached modules, by canonical name. `more`: what attached
    modules are called in diffusers' layout, as rules from there to canonical names.
    """

    def __init__(self, shapes: Mapping[str, Shape], more: KeyMap = NOTHING) -> None:
        self.shapes = dict(shapes)
        self.native = {module_of(name) for name in self.shapes}
        self.native |= {short for short, full in SHORT.items() if full in self.native}
        self.diffusers: dict[str, str] = {}
        inverse = (diffusers_map() + more).inverse()
        for name in self.shapes:
            self.diffusers[module_of(inverse.rename(name))] = module_of(name)
        self._underscored: dict[str, set[str]] = {}
        for spelled, module in (*self.diffusers.items(), *((name, name) for name in self.native)):
            self._underscored.setdefault(spelled.replace(".", "_"), set()).add(module)

    def find(self, spelled: str, prefer_diffusers: bool = False) -> str | None:
        """The module called `spelled` (without prefix), or None.

        A name that is one module's own and another's in diffusers' layout follows `prefer_diffusers`.
        """
        native = spelled if spelled in self.native else None
        theirs = self.diffusers.get(spelled)
        return (theirs or native) if prefer_diffusers else (native or theirs)

    def underscored(self, spelled: str) -> str | None:
        """The module whose name with underscores for dots is `spelled`; None if there is none, or several."""
        modules = self._underscored.get(spelled, set())
        return next(iter(modules)) if len(modules) == 1 else None

    def parameter(self, module: str, leaf: str) -> str | None:
        """The canonical name of a module's parameter, if it has it."""
        for owner in (module, SHORT.get(module, module)):
            if (name := f"{owner}.{leaf}" if owner else leaf) in self.shapes:
                return name
        return None

    @property
    def has_image_branch(self) -> bool:
        return any(is_image_branch(name) for name in self.shapes)


def module_of(parameter: str) -> str:
    return parameter.rpartition(".")[0]


#: Parts of names that only models with an image branch have, in either layout and with underscores.
IMAGE_BRANCH = (
    "k_img", "v_img", "img_emb", "add_k_proj", "add_v_proj", "norm_added_k", "image_embedder",
)  # fmt: skip


def is_image_branch(name: str) -> bool:
    return any(part in name for part in IMAGE_BRANCH)
