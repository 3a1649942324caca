"""Training of the text encoder: to tell from a caption alone what the scene shows.

Every token learns whose word it is and what that thing or background looks like as a whole, and `</s>`
learns the whole scene. The linear heads that ask for it are dropped afterwards; what they needed stays in
the states that the transformer reads. It takes a fraction of the time in which the transformer's own loss
would teach which colour belongs to what.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tools.tiny.corpus.captions import BACKGROUND, NOBODY, Word, told
from tools.tiny.corpus.scene import NAMES, PACES, SIZES, Backdrop, Scene, Thing, draw_cast
from tools.tiny.corpus.vocabulary import BACKDROPS, MOTIONS, SHAPES, TEXTURES
from tools.tiny.learn.encoded import text_states
from tools.tiny.learn.sizes import TEXT_WIDTH, fresh_text_encoder
from tools.tiny.learn.words import END, Captions

RATE = 2e-3
BATCH = 128
UNKNOWN = -100  # of cross entropy: no such label
OF_A_THING = {
    "colour": NAMES, "shape": SHAPES, "motion": MOTIONS,
    "size": tuple(SIZES), "texture": TEXTURES, "pace": tuple(PACES),
}  # fmt: skip
OF_A_BACKDROP = {"colour": ("", *NAMES), "kind": BACKDROPS}
#: What a token is asked: its owner, and its owner's attributes.
QUESTIONS = {
    "owner": BACKGROUND + 1,
    **{name: len(values) for name, values in OF_A_THING.items()},
    **{f"background {name}": len(values) for name, values in OF_A_BACKDROP.items()},
}
#: What `</s>` is asked of the first two things; one more answer says that there is none.
OF_THE_SCENE = {f"{i} {name}": len(OF_A_THING[name]) + 1 for i in (1, 2) for name in OF_A_THING}


class Heads(nn.Module):
    """Answers as logits, from states [..., TEXT_WIDTH]."""

    def __init__(self, questions: dict[str, int]) -> None:
        super().__init__()
        self.sizes = list(questions.values())
        self.linear = nn.Linear(TEXT_WIDTH, sum(self.sizes))

    def forward(self, states: Tensor) -> Sequence[Tensor]:
        return self.linear(states).split(self.sizes, dim=-1)


@dataclass(frozen=True)
class Lesson:
    """Captions as ids and mask [B, L], and the answers wanted at tokens [B, L, Q] and of scenes [B, Q']."""

    ids: Tensor
    mask: Tensor
    tokens: Tensor
    scenes: Tensor


def draw_lesson(rng: np.random.Generator, captions: Captions, count: int) -> Lesson:
    scenes = [draw_cast(rng) for _ in range(count)]
    wordings = [told(rng, scene) for scene in scenes]
    encodings = captions.encode([" ".join(word.text for word in words) for words in wordings])
    ids, mask = captions.batch(encodings)
    tokens = np.full((count, ids.shape[1], len(QUESTIONS)), UNKNOWN)
    for row, (scene, words, encoding) in enumerate(zip(scenes, wordings, encodings, strict=True)):
        answers = [answers_of_owner(scene, owner) for owner in range(BACKGROUND + 1)]
        at = encoding.word_ids[: captions.length - 1]
        tokens[row, : len(at)] = [answers[owner_at(words, i)] for i in at]
        tokens[row, len(at)] = answers_of_owner(scene, BACKGROUND)  # at </s>
    answers_of_scenes = np.array([answers_of_scene(scene) for scene in scenes])
    return Lesson(ids, mask, torch.from_numpy(tokens), torch.from_numpy(answers_of_scenes))


def owner_at(words: Sequence[Word], index: int | None) -> int:
    return NOBODY if index is None else words[index].owner


def answers_of_owner(scene: Scene, owner: int) -> list[int]:
    """In the order of QUESTIONS."""
    thing = scene.things[owner - 1] if 1 <= owner <= len(scene.things) else None
    own = answers_of_thing(thing) if thing else [UNKNOWN] * len(OF_A_THING)
    behind = answers_of_backdrop(scene.backdrop) if owner == BACKGROUND else [UNKNOWN] * len(OF_A_BACKDROP)
    return [owner, *own, *behind]


def answers_of_thing(thing: Thing) -> list[int]:
    return [values.index(getattr(thing, name)) for name, values in OF_A_THING.items()]


def answers_of_backdrop(backdrop: Backdrop) -> list[int]:
    return [values.index(getattr(backdrop, name)) for name, values in OF_A_BACKDROP.items()]


def answers_of_scene(scene: Scene) -> list[int]:
    """In the order of OF_THE_SCENE."""
    answers = []
    for i in (0, 1):
        if i < len(scene.things):
            answers += answers_of_thing(scene.things[i])
        else:
            answers += [len(values) for values in OF_A_THING.values()]
    return answers


class Reader(nn.Module):
    """The text encoder with its heads."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.stack = fresh_text_encoder(vocabulary)
        self.at_tokens, self.at_end = Heads(QUESTIONS), Heads(OF_THE_SCENE)

    def forward(self, lesson: Lesson) -> tuple[Tensor, dict[str, float]]:
        """The loss [], and the share of right answers to the main questions."""
        states = text_states(self.stack, lesson.ids, lesson.mask)
        ends = states[lesson.ids == END]
        loss, right = states.new_zeros(()), {}
        for logits, wanted in zip(self.at_tokens(states), lesson.tokens.unbind(-1), strict=True):
            loss = loss + F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=UNKNOWN)
        for name, logits, wanted in zip(
            OF_THE_SCENE, self.at_end(ends), lesson.scenes.unbind(-1), strict=True
        ):
            loss = loss + F.cross_entropy(logits, wanted)
            right[name] = float((logits.argmax(-1) == wanted).float().mean())
        tokens = dict(zip(QUESTIONS, self.at_tokens(states), strict=True))
        for name, wanted in zip(QUESTIONS, lesson.tokens.unbind(-1), strict=True):
            known = wanted != UNKNOWN
            right[name] = float((tokens[name].argmax(-1) == wanted)[known].float().mean())
        return loss, right


def train_reader(
    tokenizer: str,
    seconds: float,
    device: torch.device,
    say: Callable[[str], None] = print,
    shrink: int = 1,
    seed: int = 1,
) -> nn.Module:
    """The text encoder, float32, trained for `seconds`; `shrink` divides the batches."""
    torch.manual_seed(seed)
    rng, captions = np.random.default_rng(seed), Captions(tokenizer)
    reader = Reader(captions.size).to(device)
    optimiser = torch.optim.AdamW(reader.parameters(), lr=0.0, betas=(0.9, 0.98), weight_decay=0.02)
    began, steps, told_at = time.monotonic(), 0, 0.0
    while (progress := (time.monotonic() - began) / seconds) < 1:
        lesson = draw_lesson(rng, captions, max(BATCH // shrink, 2))
        lesson = Lesson(*(t.to(device) for t in vars(lesson).values()))
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (steps + 1) / 200) * (1 - progress)
        loss, right = reader(lesson)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimiser.step()
        if time.monotonic() - told_at > 20:
            told_at = time.monotonic()
            say(
                report(f"text {told_at - began:5.0f} s, step {steps}: loss {float(loss.detach()):.3f}", right)
            )
        steps += 1
    with torch.no_grad():
        lesson = draw_lesson(np.random.default_rng(99_991), captions, 512)
        _, right = reader(Lesson(*(t.to(device) for t in vars(lesson).values())))
    say(report(f"text: {steps} steps, on fresh captions", right))
    return reader.stack


def report(start: str, right: dict[str, float]) -> str:
    return f"{start}; right: " + ", ".join(f"{name} {share:.3f}" for name, share in right.items())
