"""A family without a model, whose denoiser does what a request tells it: sleep, crash, hang, allocate.

Installed for tests only, through an entry point like any plugin.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from wancore.plugins import hookimpl
from wancore.plugins.inputs import InputSpec, InputType

WANCORE_API = (1, 1)
Stage = Literal["start", "inputs", "text", "loading", "denoising", "decoding"]


class FaultyParameters(BaseModel):
    """What goes wrong, where and how often."""

    model_config = ConfigDict(extra="forbid")

    fault: Literal[
        "", "kill", "segfault", "exit", "raise", "oom", "hold", "ignore_cancel", "sleep", "print", "fork",
        "kill_rank",
    ] = Field(default="", description="what goes wrong")  # fmt: skip
    at: Stage = Field(default="denoising", description="in which stage")
    times: int = Field(default=1_000_000, ge=0, description="how often, counted in the file `key`")
    key: str = Field(default="", max_length=64, pattern="^[a-z0-9-]*$")
    step_s: float = Field(default=0.0, ge=0, le=600, description="time of a step")
    block_s: float = Field(default=0.0, ge=0, le=600, description="time of a decoded block")
    block_frames: int = Field(default=4, ge=1, le=64)
    hold_s: float = Field(default=60.0, ge=0, le=600, description="how long `hold` and `sleep` last")
    sound_s: float = Field(default=0.0, ge=0, le=60, description="seconds of a tone to be heard; 0: none")
    leak_mib: int = Field(default=0, ge=0, le=1024, description="memory that the process keeps")
    hidden_count: bool = Field(default=False, description="do not tell the number of frames beforehand")


LEAKED: list[bytes] = []


def picture(seed: int, index: int, width: int, height: int) -> Any:
    """Frame `index` [H, W, 3] uint8: the same for the same arguments, in every process."""
    import numpy as np

    y, x = np.mgrid[0:height, 0:width]
    planes = [(x * (k + 1) + y * 3 + index * 7 * (k + 1) + seed % 256 * 13) % 256 for k in range(3)]
    return np.stack(planes, axis=-1).astype(np.uint8)


def tone(seconds: float) -> Any:
    import numpy as np

    from wancore.events import SoundTrack

    return SoundTrack(np.sin(np.arange(int(seconds * 16_000)) / 5).astype(np.float32) / 2, 16_000)


class FaultyRunner:
    """Settles, steps and emits like the engine, without one."""

    family = "faulty"

    def run(self, request: Any) -> Iterator[Any]:
        from wancore.events import Accepted, Finished, Frames, Loading, Preview, Progress

        p = FaultyParameters.model_validate(request.params)
        width, height = (request.size.width, request.size.height) if request.size else (64, 48)
        frames, steps = request.frames or 8, request.steps or 4
        seed = request.seed or 0
        LEAKED.append(b"x" * (p.leak_mib * 2**20))
        self.fail(p, "start")
        yield Accepted(
            "faulty", "", width, height, None if p.hidden_count else frames,
            Fraction(request.fps or 8).limit_denominator(1000), steps, "euler", 1.0, (1.0,), seed, "none",
        )  # fmt: skip
        for part, stage in (("inputs", "inputs"), ("text encoder", "text"), ("transformer", "loading")):
            yield Loading(part)
            self.fail(p, stage)
        for role, path in request.inputs.items():
            self.look_at(role, path)
        if p.sound_s:
            yield tone(p.sound_s)
        for step in range(steps):
            self.fail(p, "denoising")
            self.pause(p, p.step_s)
            yield Progress(step + 1, steps, 0, p.step_s * (steps - step - 1))
            if request.previews:
                yield Preview(step + 1, 0, picture(seed, step, 16, 16)[None])
        for first in range(0, frames, p.block_frames):
            self.fail(p, "decoding")
            self.pause(p, p.block_s)
            import numpy as np

            count = min(p.block_frames, frames - first)
            yield Frames(first, np.stack([picture(seed, first + k, width, height) for k in range(count)]))
        yield Finished(frames, 0.1, {"denoising": p.step_s * steps})

    def run_live(self, request: Any, live: Any) -> Iterator[Any]:
        """A block of `block_frames` for as much sound; its pictures depend on the words."""
        from functools import partial

        from wancore.engine.blocks import transacted
        from wancore.errors import InvalidInput
        from wancore.events import Accepted, Finished, Loading, Steered

        p = FaultyParameters.model_validate(request.params)
        fps, role = Fraction(request.fps or 8), next(iter(live.sounds))
        self.fail(p, "start")
        size = (request.size.width, request.size.height) if request.size else (64, 48)
        yield Accepted("faulty", "", *size, None, fps, 1, "euler", 1.0, (1.0,), request.seed or 0, "none")
        for part, stage in (("inputs", "inputs"), ("text encoder", "text"), ("transformer", "loading")):
            yield Loading(part)
            self.fail(p, stage)
        words, total, block = request.prompt, 0, 0
        while True:
            count = live.await_sound(role, round((total + p.block_frames) * live.rate / fps))
            frames = p.block_frames if count is None else int(count * fps / live.rate) - total
            frames = min(frames, p.block_frames)
            if frames <= 0:
                break
            for asked in live.begin(block):
                refused = (
                    InvalidInput("prompt", asked.prompt, "other words") if asked.prompt == "no" else None
                )
                words = words if refused else asked.prompt or words
                yield Steered(asked.id, block, refused)
            seed = (request.seed or 0) + len(words)
            yield from transacted(block, partial(self.block, p, seed, total, frames, size))
            total, block = total + frames, block + 1
            live.forget(role, round(total * live.rate / fps))
        yield Finished(total, 0.1, {})

    def block(self, p: FaultyParameters, seed: int, first: int, frames: int, size: Any) -> Iterator[Any]:
        import numpy as np

        from wancore.events import Frames, Progress

        self.fail(p, "denoising")
        self.pause(p, p.step_s)
        yield Progress(1, 1, 0, 0.0)
        half = max(1, frames // 2)
        yield Frames(first, np.stack([picture(seed, first + k, *size) for k in range(half)]))
        self.fail(p, "decoding")
        if frames > half:
            rest = [picture(seed, first + k, *size) for k in range(half, frames)]
            yield Frames(first + half, np.stack(rest))

    def look_at(self, role: str, path: Path) -> None:
        from wancore.media.audio import read_audio
        from wancore.media.image import read_image
        from wancore.media.video import read_video

        if role == "audio":
            read_audio(path)
            return
        (read_video if path.suffix == ".mkv" or path.read_bytes()[:4] == b"\x1aE\xdf\xa3" else read_image)(
            path
        )

    def pause(self, p: FaultyParameters, seconds: float) -> None:
        if p.fault == "ignore_cancel":
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        time.sleep(seconds)

    def fail(self, p: FaultyParameters, stage: str) -> None:
        if not p.fault or p.at != stage or not self.due(p):
            return
        if p.fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif p.fault == "segfault":
            ctypes.string_at(0)
        elif p.fault == "exit":
            os._exit(0)
        elif p.fault == "raise":
            raise RuntimeError("as asked")
        elif p.fault == "oom":
            raise MemoryError
        elif p.fault == "hold":
            ctypes.PyDLL(None).sleep(int(p.hold_s))  # native code that does not let go of the interpreter
        elif p.fault == "ignore_cancel":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            end = time.monotonic() + p.hold_s
            while time.monotonic() < end:
                time.sleep(0.05)
        elif p.fault == "sleep":
            time.sleep(p.hold_s)
        elif p.fault == "print":
            print("x" * 100_000)
        elif p.fault == "fork" and os.fork() == 0:
            time.sleep(600)
            os._exit(0)

    def due(self, p: FaultyParameters) -> bool:
        """Counts in a file, since the process does not live to remember."""
        if not p.key:
            return True
        path = Path(os.environ["WANCORE_FAULTY_STATE"]) / p.key
        with path.open("ab") as file:
            file.write(b"x")
        return path.stat().st_size <= p.times


@hookimpl
def wancore_families() -> Iterable[Any]:
    from wancore.plugins.family import FamilyBase

    class Faulty(FamilyBase):
        id = "faulty"
        name = "Faulty"
        help = "Fails as asked."
        inputs = (
            InputSpec("image", InputType.IMAGE, "a picture"),
            InputSpec("video", InputType.VIDEO, "a video"),
            InputSpec("tracks", InputType.TRACKS, "points"),
            InputSpec("audio", InputType.AUDIO, "sound", live=True),
        )
        parameters = FaultyParameters

        def recognise(self, file: Any) -> None:
            return None

    class Steady(Faulty):
        id = "steady"
        name = "Steady"

    return [Faulty(), Steady()]


@hookimpl(optionalhook=True)
def wancore_runners() -> Iterable[Any]:
    class SteadyRunner(FaultyRunner):
        family = "steady"

    return [FaultyRunner(), SteadyRunner()]
