"""Text contexts kept between requests, so that a repeated prompt needs no encoder in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from wancore.encoders.prompts import clean_prompt

if TYPE_CHECKING:
    import torch

Key = tuple[str, str]  # (identity of the encoder, cleaned prompt)


class EncodesText(Protocol):
    """The part of a text encoder that the cache needs."""

    def encode(self, prompts: Sequence[str]) -> list[torch.Tensor]: ...


@dataclass
class PromptCache:
    """The contexts of the last `capacity` prompts, on the CPU; the least recently used one goes first."""

    capacity: int = 64
    contexts: OrderedDict[Key, torch.Tensor] = field(default_factory=OrderedDict)

    def encode(
        self, prompts: Sequence[str], identity: str, load: Callable[[], EncodesText]
    ) -> list[torch.Tensor]:
        """The context [n_tokens, width] of each prompt; `load` is called only for prompts not seen yet.

        `identity`: see `encoder_identity`. Prompts that clean to the same text are encoded once.
        """
        keys = [(identity, clean_prompt(prompt)) for prompt in prompts]
        found = {key: self.contexts[key] for key in keys if key in self.contexts}
        missing = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in found}
        if missing:
            made = load().encode(list(missing.values()))
            found |= {key: context.cpu() for key, context in zip(missing, made, strict=True)}
        for key in keys:
            self.keep(key, found[key])
        return [found[key] for key in keys]

    def keep(self, key: Key, context: torch.Tensor) -> None:
        """Stores a context, or marks it as just used."""
        self.contexts[key] = context
        self.contexts.move_to_end(key)
        while len(self.contexts) > self.capacity:
            self.contexts.popitem(last=False)
