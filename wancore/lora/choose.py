"""How each parameter gets its change: the one place that decides, and says why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal["auto", "merged", "streaming", "on-the-fly"]
Placed = Literal["merged", "requantised", "held in floats", "streaming", "on-the-fly"]


@dataclass(frozen=True)
class Facts:
    """What the choice depends on.

    `block_linear`: a linear that every token passes at every step. `low_rank`: the whole change has that
    form. `scheduled`: its strengths change from step to step. `quantised`: the weight is held in fewer
    bits; `master`: its values of higher precision are at hand. `swapped`: its block is not always on the
    device.
    """

    block_linear: bool
    low_rank: bool
    scheduled: bool = False
    quantised: bool = False
    master: bool = False
    swapped: bool = False


@dataclass(frozen=True)
class Choice:
    """`placed`: how; `reason`: why, for the user."""

    placed: Placed
    reason: str


def choose(facts: Facts, mode: Mode = "auto", streaming: bool = True) -> Choice:
    """`mode`: what the user asked for. `streaming`: whether `auto` may take it."""
    if not facts.block_linear and facts.quantised and mode != "merged":
        return Choice("held in floats", "a quantised layer that few rows pass: exact, and small")
    if not facts.block_linear and not facts.quantised:
        again = ", merged again when a strength changes" if facts.scheduled else ""
        return Choice("merged", f"norms, biases, embeddings and convolutions are small{again}")
    match mode:
        case "merged":
            return merged(facts, "asked for")
        case "streaming":
            return Choice("streaming", "asked for")
        case "on-the-fly" if facts.low_rank:
            return Choice("on-the-fly", "asked for")
    return automatic(facts, streaming)


def automatic(facts: Facts, streaming: bool) -> Choice:
    if not facts.low_rank:
        if facts.quantised and not facts.master and streaming:
            return Choice("streaming", "no low-rank form, and a quantised weight cannot take it exactly")
        return merged(facts, "no low-rank form")
    if facts.scheduled:
        return Choice("on-the-fly", "strengths change from step to step")
    if facts.swapped:
        return Choice("on-the-fly", "a swapped block takes its low-rank factors along")
    if facts.quantised and not facts.master:
        return Choice("on-the-fly", "a quantised weight without a master would lose small changes")
    return merged(facts, "constant strengths: no cost per step")


def merged(facts: Facts, reason: str) -> Choice:
    if not facts.quantised:
        return Choice("merged", reason)
    source = "from its master" if facts.master else "from its own values, at the error shown"
    return Choice("requantised", f"{reason}; quantised again {source}")
