"""What happens to a prompt's text before it is tokenised."""

from __future__ import annotations

import html
import math
import re
from dataclasses import dataclass

from wancore.errors import InvalidInput

WEIGHTED = re.compile(r"\((.*?):([\d.]+)\)")


def clean_prompt(text: str) -> str:
    """The text as the models were trained on it: encoding repaired, entities decoded, single spaces.

    ftfy's defaults also turn full-width punctuation into ASCII and curly quotes into straight ones.
    Source: wan/modules/tokenizers.py of Wan-Video/Wan2.1 (`clean="whitespace"`).
    """
    import ftfy

    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(text.split())


@dataclass(frozen=True)
class WeightedPrompt:
    """A prompt without its weight marks; `weights` maps each marked phrase to its weight."""

    text: str
    weights: dict[str, float]

    @property
    def factor(self) -> float:
        """What the context of the prompt is multiplied by: the product of the weights."""
        return math.prod(self.weights.values())


def split_weights(prompt: str) -> WeightedPrompt:
    """Reads `(phrase:1.5)` marks; the phrases stay in the text, and a repeated phrase counts once.

    A weight is not about its phrase alone: the whole context of the prompt is multiplied by `factor`.
    Raises `InvalidInput` for a weight that is not a number. Source: `parse_prompt_weights` of
    kijai/ComfyUI-WanVideoWrapper.
    """
    text, weights = prompt, {}
    for phrase, number in WEIGHTED.findall(prompt):
        text = text.replace(f"({phrase}:{number})", phrase)
        weights[phrase] = parse_weight(number)
    return WeightedPrompt(text, weights)


def parse_weight(number: str) -> float:
    try:
        return float(number)
    except ValueError:
        raise InvalidInput("prompt weight", number, "a decimal number, as in (red hat:1.5)") from None
