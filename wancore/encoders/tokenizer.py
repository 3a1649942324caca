"""Prompt text to token ids, from the tokenizer files that come with the encoders."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wancore.errors import CheckpointError, InvalidInput

logger = logging.getLogger(__name__)

END = "</s>"
MAX_TOKENS = 512
JSON_FILE, MODEL_FILE = "tokenizer.json", "spiece.model"


@dataclass(frozen=True)
class Tokenizer:
    """A SentencePiece vocabulary. `split` gives a text's ids without the end mark `</s>`.

    `end` is the id of `</s>`; `size` the number of ids, all below it.
    """

    split: Callable[[str], list[int]]
    end: int
    size: int

    def __call__(self, text: str, max_tokens: int = MAX_TOKENS) -> list[int]:
        """The ids of `text` with `</s>` last, at most `max_tokens` in all; what does not fit is logged."""
        if max_tokens < 1:
            raise InvalidInput("max_tokens", max_tokens, "at least 1, for the end mark")
        ids = self.split(text)
        if len(ids) >= max_tokens:
            logger.warning("the prompt has %d tokens, only the first %d are used", len(ids), max_tokens - 1)
        return [*ids[: max_tokens - 1], self.end]


def load_tokenizer(source: Path | str | bytes) -> Tokenizer:
    """A tokenizer from a folder (`tokenizer.json` or `spiece.model`), one of those files, or a model's bytes.

    Reads local files only. Raises `CheckpointError` where there is none or it cannot be read.
    """
    if isinstance(source, bytes):
        return from_sentencepiece(source, Path("spiece_model"))
    file = tokenizer_file(Path(source))
    if file.suffix == ".json":
        return from_json(file)
    return from_sentencepiece(file.read_bytes(), file)


def tokenizer_file(path: Path) -> Path:
    """The file to read for what the user named. Raises `CheckpointError`."""
    if path.is_file() and path.suffix in (".json", ".model"):
        return path
    for name in (JSON_FILE, MODEL_FILE):
        if (path / name).is_file():
            return path / name
    raise CheckpointError(path, f"is no tokenizer; accepted: {JSON_FILE}, {MODEL_FILE} or a folder with one")


def from_json(file: Path) -> Tokenizer:
    import tokenizers

    try:
        model = tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:  # the binding raises plain Exception
        raise CheckpointError(file, f"cannot be read as a tokenizer: {error}") from error
    model.no_truncation()
    model.no_padding()
    end = model.token_to_id(END)
    if end is None:
        raise CheckpointError(file, f"has no token {END}")
    return Tokenizer(
        lambda text: model.encode(text, add_special_tokens=False).ids, end, model.get_vocab_size()
    )


def from_sentencepiece(model: bytes, origin: Path) -> Tokenizer:
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor()
    try:
        processor.LoadFromSerializedProto(model)
    except RuntimeError as error:
        raise CheckpointError(origin, f"cannot be read as a SentencePiece model: {error}") from error
    end = processor.eos_id()
    if end < 0:
        raise CheckpointError(origin, f"has no token {END}")
    return Tokenizer(lambda text: list(processor.EncodeAsIds(text)), end, processor.GetPieceSize())
