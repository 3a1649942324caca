"""The files of a request's speakers, read onto one time axis."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from wancore.engine.tools import Tools
from wancore.errors import InvalidInput
from wancore.media.audio import SPEECH_RATE
from wancore.request import Request
from wancore_talking.loudness import LARGEST, SHORTEST, normalised
from wancore_talking.parameters import TalkingParameters
from wancore_talking.tracks import Tracks, arranged

MOST = 2
ACCEPTED = "an audio or video file: audio for one speaker, audio[0] and audio[1] for two"


def voices(request: Request) -> dict[int, str]:
    """Speaker's number, 0 or 1 -> the role of their file. Raises `InvalidInput`."""
    found: dict[int, str] = {}
    for role, file in sorted(request.roles.items()):
        match = re.fullmatch(r"audio(?:\[(\d+)\])?", role)
        if match is None:
            continue
        number = int(match[1] or 0)
        if number >= MOST or number in found:
            raise InvalidInput(f"inputs.{role}", file, ACCEPTED)
        found[number] = role
    if not found:
        raise InvalidInput("inputs.audio", None, ACCEPTED)
    return found


def speaker_count(request: Request, parameters: TalkingParameters) -> int:
    """1 or 2. Raises `InvalidInput` where files and parameters disagree."""
    given = voices(request)
    needed = 2 if 1 in given or parameters.boxes is not None else 1
    if parameters.speakers is not None and parameters.speakers < needed:
        raise InvalidInput("params.speakers", parameters.speakers, "2 with audio[1] or with boxes")
    if len(given) == 2 and parameters.audio_type is None:
        accepted = "para (both on one time axis) or add (one after the other), with two audio files"
        raise InvalidInput("params.audio_type", None, accepted)
    if request.live and (len(request.live) < len(given) or parameters.audio_type == "add"):
        accepted = "every speaker live and on one time axis (para)"
        raise InvalidInput("live", list(request.live), accepted)
    if len(given) < 2 and parameters.audio_type is not None:
        raise InvalidInput("params.audio_type", parameters.audio_type, "nothing with one audio file")
    return parameters.speakers or needed


def read_tracks(request: Request, parameters: TalkingParameters, fps: float, tools: Tools) -> Tracks:
    """Every speaker's sound at one loudness; a speaker without a file is silent. Raises `InvalidInput`."""
    count, given = speaker_count(request, parameters), voices(request)
    speech = {number: loud(tools.audio(role), role, request) for number, role in given.items()}
    if len(speech) == 2 and parameters.audio_type == "para":
        check_equal(speech, given, request, fps)
    quiet = torch.zeros(len(next(iter(speech.values()))))
    order = parameters.audio_type or "para"
    return arranged([speech.get(number, quiet) for number in range(count)], order, SPEECH_RATE)


def loud(samples: Tensor, role: str, request: Request) -> Tensor:
    if len(samples) < SHORTEST * SPEECH_RATE:
        accepted = f"at least {SHORTEST} seconds of sound; this file has {len(samples) / SPEECH_RATE:.2f}"
        raise InvalidInput(f"inputs.{role}", str(request.inputs[role]), accepted)
    peak = float(samples.abs().max())
    if peak > LARGEST:
        accepted = f"samples of about full scale 1, at most {LARGEST:g}; the largest here is {peak:g}"
        raise InvalidInput(f"inputs.{role}", str(request.inputs[role]), accepted)
    return normalised(samples, SPEECH_RATE)


def check_equal(speech: dict[int, Tensor], given: dict[int, str], request: Request, fps: float) -> None:
    """Raises `InvalidInput` where the speakers' files differ by more than a video frame."""
    first, second = (len(speech[number]) / SPEECH_RATE for number in (0, 1))
    if abs(first - second) > 1 / fps:
        accepted = (
            f"sound as long as {given[0]} ({first:.2f} seconds) with audio_type para;"
            f" this file has {second:.2f}"
        )
        raise InvalidInput(f"inputs.{given[1]}", str(request.inputs[given[1]]), accepted)
