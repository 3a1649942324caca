"""Embedded text, kept over the windows of a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from wancore.engine.expert import Expert
from wancore.transformer.predict import EmbeddedText


@dataclass(frozen=True)
class Kept:
    """Embedded text and what it was made of."""

    text: Tensor | None
    image: Tensor | None
    embedded: EmbeddedText

    def serves(self, text: Tensor | None, image: Tensor | None) -> bool:
        return self.text is text and self.image is image


@dataclass
class EmbeddedTexts:
    """One entry for each expert and variant, for as long as its text and image stay the same objects.

    A window that brings other image tokens replaces those of the window before.
    """

    _kept: dict[tuple[str, str, str], Kept] = field(default_factory=dict)

    def of(
        self,
        expert: Expert,
        name: str,
        variants: Mapping[str, str],
        texts: Mapping[str, Tensor],
        images: Mapping[str, Tensor],
    ) -> EmbeddedText:
        """What the expert called `name` reads in a pass with these variants."""
        text_variant, image_variant = variants.get("text", "on"), variants.get("image", "on")
        text, image = texts.get(text_variant), images.get(image_variant)
        key = (name, text_variant, image_variant)
        kept = self._kept.get(key)
        if kept is None or not kept.serves(text, image):
            kept = self._kept[key] = Kept(text, image, expert.embed_text(text, image))
        return kept.embedded

    def forget(self) -> None:
        """Drops every entry: the weights that made them have changed."""
        self._kept.clear()
