"""Talking families lead on a text-to-video model, with VACE attached."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from wancore.errors import CheckpointError
from wancore.events import SoundTrack

FAMILIES = ("infinitetalk", "multitalk")


@pytest.mark.parametrize("family", FAMILIES)
def test_on_a_text_model_with_vace(family, stage):
    """Two windows; VACE's references stand in front of each, its video lies under both."""
    videos = [stage.frames(stage.talking(family, name)) for name in ("vace", "references")]
    assert all(video.shape == (13, 48, 64, 3) and video.std() > 1 for video in videos)
    assert not np.array_equal(*videos)


def test_audio_and_pictures_both_act(stage):
    silent = stage.talking(
        "infinitetalk", "vace", params={"window": 9, "motion_frame": 5, "audio_strength": 0}
    )
    other = stage.talking(
        "infinitetalk", "vace", inputs={"image": stage.files["image"], "audio": stage.files["speech"]}
    )
    video, quiet, seen = (stage.frames(r) for r in (stage.talking("infinitetalk", "vace"), silent, other))
    assert not np.array_equal(video, quiet) and not np.array_equal(video, seen)


def test_order_of_attachment(stage):
    first, *others = [
        stage.frames(stage.talking("infinitetalk", *order)) for order in permutations(("references", "wave"))
    ]
    assert all(np.array_equal(first, other) for other in others)


def test_a_lora_reaches_it(stage):
    lora = {"loras": [{"name": str(stage.files["lora"])}]}
    assert not np.array_equal(
        stage.frames(stage.talking("infinitetalk", "vace", **lora)),
        stage.frames(stage.talking("infinitetalk", "vace")),
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_alone_it_needs_image_channels(family, stage):
    with pytest.raises(CheckpointError, match="text-to-video model with a family attached"):
        next(stage.engine.generate(stage.talking(family)))


def test_the_speech_of_an_attachment_is_heard(stage):
    """VACE leads, and the video has the sound that moves its lips."""
    (use,) = stage.attach("references")
    events = stage.engine.generate(
        stage.request("audio", model=stage.merged, inputs=use["inputs"], steps=1, guidance=(1.0,))
    )
    (sound,) = [event for event in events if isinstance(event, SoundTrack)]
    assert len(sound.samples) == round(9 / 16 * sound.rate) and np.abs(sound.samples).max() > 0
