"""Text, image and audio encoders: what turns a user's inputs into features.

Images and sound go through the networks of `transformers`, text through one of our own, which needs no
such import; this package maps the community's checkpoint layouts onto them and adds the preprocessing.
Names are resolved on first use, so importing the package costs neither torch nor transformers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wancore.encoders.audio import normalise_waveform, resample_frames
    from wancore.encoders.cache import PromptCache
    from wancore.encoders.image import ImageEncoder, load_image_encoder
    from wancore.encoders.prompts import clean_prompt, split_weights
    from wancore.encoders.text import TextEncoder, encoder_identity, load_text_encoder
    from wancore.encoders.tokenizer import Tokenizer, load_tokenizer
    from wancore.encoders.wav2vec2 import Wav2Vec2Encoder, load_wav2vec2
    from wancore.encoders.whisper import WhisperEncoder, load_whisper, whisper_groups

HOMES = {
    "normalise_waveform": "audio",
    "resample_frames": "audio",
    "PromptCache": "cache",
    "ImageEncoder": "image",
    "load_image_encoder": "image",
    "clean_prompt": "prompts",
    "split_weights": "prompts",
    "TextEncoder": "text",
    "encoder_identity": "text",
    "load_text_encoder": "text",
    "Tokenizer": "tokenizer",
    "load_tokenizer": "tokenizer",
    "Wav2Vec2Encoder": "wav2vec2",
    "load_wav2vec2": "wav2vec2",
    "WhisperEncoder": "whisper",
    "load_whisper": "whisper",
    "whisper_groups": "whisper",
}

__all__ = [
    "ImageEncoder",
    "PromptCache",
    "TextEncoder",
    "Tokenizer",
    "Wav2Vec2Encoder",
    "WhisperEncoder",
    "clean_prompt",
    "encoder_identity",
    "load_image_encoder",
    "load_text_encoder",
    "load_tokenizer",
    "load_wav2vec2",
    "load_whisper",
    "normalise_waveform",
    "resample_frames",
    "split_weights",
    "whisper_groups",
]


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
