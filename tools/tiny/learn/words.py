"""The tokenizer, made from the words of the corpus' captions, and captions as batches of ids."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from tools.tiny.corpus.captions import ADJECTIVES, CLOSINGS, LETTERS, OPENINGS, caption
from tools.tiny.corpus.scene import Frame, draw_scene

if TYPE_CHECKING:
    from tokenizers import Encoding

SPECIAL = ("<pad>", "</s>", "<unk>")  # ids as google/umt5-xxl has them
PAD, END, UNKNOWN = range(3)
SAMPLES = 6_000
WORD = re.compile(r"[a-z0-9]+")
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # SentencePiece's mark of a word's start


def trained_tokenizer(seed: int = 7) -> str:
    """tokenizer.json: a unigram vocabulary, case folded, with a piece for each word that captions use.

    Other words fall apart into letters, other scripts into bytes: no text is refused.
    """
    from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers
    from tokenizers.models import Unigram

    marks = [*LETTERS, *"0123456789", *".,;:!?-'\"()", SPACE]
    pieces = [(name, 0.0) for name in SPECIAL]
    pieces += [(f"<0x{byte:02X}>", -20.0) for byte in range(256)]
    pieces += [(mark, -10.0) for mark in marks]
    pieces += [(SPACE + word, -4.0) for word in corpus_words(seed) if len(word) > 1 or word == "a"]
    pieces += [(end, -7.0) for end in ("ing", "er", "ed", "es", "ly")]
    tokenizer = Tokenizer(Unigram(pieces, unk_id=UNKNOWN, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement=SPACE, prepend_scheme="always")
    return str(tokenizer.to_str(pretty=False))


def corpus_words(seed: int) -> list[str]:
    """Every word that the captions' grammar can say, sorted."""
    rng = np.random.default_rng(seed)
    frame = Frame(1.0, 1.0)
    texts = [caption(rng, draw_scene(rng, frame, 2.0)) for _ in range(SAMPLES)]
    found = Counter(WORD.findall(" ".join(texts).lower()))
    fixed = set(WORD.findall(" ".join([*OPENINGS, *CLOSINGS, *ADJECTIVES])))
    return sorted(fixed | {word for word, count in found.items() if count > 3})


class Captions:
    """Texts to padded ids, as the text encoder reads them."""

    def __init__(self, tokenizer: str, length: int = 48) -> None:
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_str(tokenizer)
        self.length = length - 1  # one place is left for the padding's common row

    @property
    def size(self) -> int:
        return int(self.tokenizer.get_vocab_size())

    def encode(self, texts: Sequence[str]) -> list[Encoding]:
        found: list[Encoding] = self.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return found

    def batch(self, encodings: Sequence[Encoding]) -> tuple[Tensor, Tensor]:
        """ids, mask [B, L]; `</s>` last."""
        rows = [[*e.ids[: self.length - 1], END] for e in encodings]
        ids = torch.tensor([row + [PAD] * (self.length - len(row)) for row in rows])
        return ids, (ids != PAD).long()

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """ids, mask [B, L]."""
        return self.batch(self.encode(texts))
