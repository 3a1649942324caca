"""Prompts that no training video had: their combinations of colour, shape and motion are held back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.tiny.corpus.vocabulary import COLOURS, SCORED_MOTIONS, SHAPES, held_back

VERBS = {
    "left": "moves to the left",
    "right": "moves to the right",
    "up": "moves up",
    "down": "moves down",
    "bounce": "bounces",
    "turn": "turns",
    "grow": "grows",
    "shrink": "shrinks",
}
ROUND = ("circle", "ball")


@dataclass(frozen=True)
class Wanted:
    """What one thing of a video should be."""

    colour: str
    shape: str
    motion: str


@dataclass(frozen=True)
class Prompt:
    """`background`: a colour's name, "" for dark, "field" for a green field."""

    text: str
    wanted: Wanted
    background: str


def held_back_prompts(count: int = 240, seed: int = 2) -> list[Prompt]:
    """`count` different prompts: half of them dark, the rest on backgrounds of every colour."""
    combinations = [
        Wanted(c, s, m)
        for c in COLOURS
        for s in SHAPES
        for m in SCORED_MOTIONS
        if held_back(c, s, m) and not (m == "turn" and s in ROUND)
    ]
    rng = np.random.default_rng(seed)
    prompts: dict[str, Prompt] = {}
    backgrounds = ["", *COLOURS, "field"]
    while len(prompts) < count:
        wanted = combinations[len(prompts) % len(combinations)]
        behind = str(rng.choice(backgrounds, p=[0.1] + [0.11] * 7 + [0.13]))
        if len([p for p in prompts.values() if not p.background]) < len(prompts) / 5:
            behind = ""
        if behind == wanted.colour or (behind == "field" and wanted.colour == "green"):
            continue
        text = worded(rng, wanted, behind)
        prompts.setdefault(text, Prompt(text, wanted, behind))
    return list(prompts.values())


def worded(rng: np.random.Generator, wanted: Wanted, behind: str) -> str:
    start = str(rng.choice(["a", "the", "one", "A"]))
    if start in ("a", "A") and wanted.colour[0] in "aeiou":
        start += "n"
    size = (
        str(rng.choice(["", "", "", "large ", "small "])) if wanted.motion not in ("grow", "shrink") else ""
    )
    if size:
        start = start.replace("an", "a").replace("An", "A")
    text = f"{start} {size}{wanted.colour} {wanted.shape} {VERBS[wanted.motion]}"
    if behind == "field":
        return f"{text} on a green field"
    if behind:
        article = "an" if behind[0] in "aeiou" else "a"
        return f"{text} {rng.choice(['on', 'in front of', 'against'])} {article} {behind} background"
    return text + str(rng.choice(["", "", " on a dark background", "."]))
