"""A tokenizer trained in a moment."""

from __future__ import annotations

import io

import sentencepiece

NEGATIVE = (
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，JPEG压缩残留，丑陋的，"
    "残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，"
    "三条腿，背景人很多，倒着走，镜头切换，镜头晃动"
)
ENGLISH = """
a the of in on at with and over under through near into from to is are its his her their one two three
red green blue white black golden dark bright warm cold soft slow fast small large old young quiet wild
cat dog horse fox bird fish man woman child dancer singer painter robot city street forest river sea
mountain sky moon sun rain snow wind night morning evening light shadow fire water glass stone flower
walks runs sits jumps dances sings looks turns falls flies swims rises camera close wide shot portrait
landscape film style detailed cinematic realistic pans zooms follows movement smiling holding wearing
"""


def trained_tokenizer() -> bytes:
    """A SentencePiece unigram model with the special ids of google/umt5-xxl; bytes for what it lacks."""
    words = ENGLISH.split()
    sentences = [" ".join(words[i::7]) for i in range(7)] + words + NEGATIVE.split("，") + [NEGATIVE]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        model_type="unigram",
        vocab_size=700,
        hard_vocab_limit=False,
        character_coverage=1.0,
        byte_fallback=True,
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=3,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def vocabulary(tokenizer: bytes) -> int:
    """Rows of the embedding: more than tokens, as in the released encoder."""
    processor = sentencepiece.SentencePieceProcessor()
    processor.LoadFromSerializedProto(tokenizer)
    return -(-processor.GetPieceSize() // 64) * 64 + 64
