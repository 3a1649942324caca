"""A family with rules of its own, which refuse, crash, hang, raise or allocate as a request tells them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, Literal

from pydantic import Field
from wancore_faulty import FaultyParameters, FaultyRunner

from wancore.plugins import hookimpl

WANCORE_API = (1, 1)


class StrictParameters(FaultyParameters):
    """What the rules do."""

    rule: Literal["", "crash", "hang", "raise", "allocate", "fork"] = Field(default="")
    even: int = Field(default=2, description="an even number")


class StrictRunner(FaultyRunner):
    """4n + 1 frames, at most 20 steps, an even `even`."""

    family = "strict"

    def check(self, request: Any) -> Any:
        from wancore.errors import InvalidInput
        from wancore.events import Accepted

        p = StrictParameters.model_validate(request.params)
        self.misbehave(p.rule)
        frames = request.frames or 9
        if frames % 4 != 1:
            raise InvalidInput("frames", frames, "4n + 1")
        if (request.steps or 4) > 20:
            raise InvalidInput("steps", request.steps, "at most 20")
        if p.even % 2:
            raise InvalidInput("params.even", p.even, "an even number")
        width, height = (request.size.width, request.size.height) if request.size else (64, 48)
        return Accepted(
            "strict", "", width, height, frames, Fraction(8), request.steps or 4, "euler", 1.0, (1.0,), 0, ""
        )

    def misbehave(self, rule: str) -> None:
        if rule == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif rule == "hang":
            time.sleep(600)
        elif rule == "raise":
            raise RuntimeError("as asked")
        elif rule == "allocate":
            bytearray(2**31)
        elif rule == "fork" and os.fork() == 0:
            return

    def run(self, request: Any) -> Any:
        params = {k: v for k, v in request.params.items() if k not in ("rule", "even")}
        return super().run(request.model_copy(update={"params": params}))


@hookimpl
def wancore_families() -> Iterable[Any]:
    from wancore.plugins.family import FamilyBase
    from wancore.plugins.inputs import InputSpec, InputType

    class Strict(FamilyBase):
        id = "strict"
        name = "Strict"
        help = "Knows beforehand what it refuses."
        inputs: tuple[InputSpec, ...] = (InputSpec("audio", InputType.AUDIO, "sound", live=True),)
        parameters = StrictParameters

        def recognise(self, file: Any) -> None:
            return None

    class Soup(Strict):
        id = "soup"
        name = "Soup"
        help = "Takes nothing."
        inputs = ()

    class Sauce(FamilyBase):
        id = "sauce"
        name = "Sauce"
        help = "Goes with other families only."
        roles = frozenset({"attachment"})
        inputs = ()
        parameters = StrictParameters

        def recognise(self, file: Any) -> None:
            return None

    return [Strict(), Soup(), Sauce()]


@hookimpl(optionalhook=True)
def wancore_runners() -> Iterable[Any]:
    return [StrictRunner()]
