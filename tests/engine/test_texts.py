import torch

from wancore.engine.texts import EmbeddedTexts
from wancore.transformer.predict import EmbeddedText

TEXTS = {"positive": torch.zeros(1), "negative": torch.ones(1)}


class Counting:
    def __init__(self):
        self.calls = 0

    def embed_text(self, text, image):
        self.calls += 1
        return EmbeddedText(text, image, [])


def test_text_is_embedded_once_for_all_windows():
    expert, kept, image = Counting(), EmbeddedTexts(), torch.zeros(1)
    for _ in range(3):
        for variant in TEXTS:
            read = kept.of(expert, "", {"text": variant}, TEXTS, {"on": image})
            assert read.text is TEXTS[variant]
    assert expert.calls == 2


def test_another_image_replaces_what_was_kept():
    expert, kept = Counting(), EmbeddedTexts()
    for _ in range(3):
        image = torch.zeros(1)
        read = kept.of(expert, "", {"text": "positive"}, TEXTS, {"on": image})
        assert read.image is image
    assert expert.calls == 3
    assert len(kept._kept) == 1
