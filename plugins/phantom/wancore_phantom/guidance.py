"""Three passes: text and pictures, pictures alone, neither (Phantom-video/Phantom, `subject2video.py`)."""

from __future__ import annotations

from wancore.sampling.guidance import Direction, Guidance, Scale
from wancore_phantom.references import ABSENT, SLOT


def phantom_guidance(text: Scale, image: float) -> Guidance:
    passes = {
        "positive": {"text": "positive"},
        "pictures": {"text": "negative"},
        "negative": {"text": "negative", SLOT: ABSENT},
    }
    directions = (Direction(image, "pictures", "negative"), Direction(text, "positive", "pictures"))
    return Guidance("negative", directions, passes)
