"""What a scene would be asked for as: many wordings of the same thing."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.random import Generator

from tools.tiny.corpus.chance import pick
from tools.tiny.corpus.scene import Backdrop, Scene, Thing

NOUNS = {
    "circle": ("circle", "circle", "circle", "disc", "round shape"),
    "ball": ("ball", "ball", "ball", "sphere"),
    "square": ("square", "square", "square", "box"),
    "triangle": ("triangle",),
    "star": ("star",),
}
COLOUR_WORDS = {"purple": ("purple",) * 5 + ("violet",), "red": ("red",) * 8 + ("scarlet",)}
SIZE_WORDS = {"small": ("small", "little", "tiny"), "large": ("large", "big", "huge"), "": ("",)}
TEXTURE_WORDS = {
    "plain": ("",),
    "striped": ("striped",),
    "dotted": ("dotted", "spotted"),
    "checkered": ("checkered", "chequered"),
}
VERBS = {
    "left": (
        "moves to the left", "moves left", "moving to the left", "slides to the left", "goes left",
        "drifts left",
        "travels from right to left", "is moving left", "flies to the left", "rolls to the left",
    ),
    "right": (
        "moves to the right", "moves right", "moving to the right", "slides to the right", "goes right",
        "drifts right", "travels from left to right", "is moving right", "flies to the right",
        "rolls to the right",
    ),
    "up": (
        "moves up", "moves up", "moving up", "rises", "goes up", "floats up", "moves upwards", "is rising",
    ),
    "down": (
        "moves down", "moves down", "moving down", "falls", "goes down", "sinks", "moves downwards",
        "is falling", "drops",
    ),
    "bounce": (
        "bounces", "bounces", "is bouncing", "bouncing", "bounces up and down", "jumps up and down", "hops",
    ),
    "turn": (
        "turns", "turns", "rotates", "spins", "is turning", "turning", "spinning", "turns around", "rotating",
    ),
    "grow": ("grows", "grows", "is growing", "growing", "gets bigger", "becomes larger", "expands"),
    "shrink": ("shrinks", "shrinks", "is shrinking", "shrinking", "gets smaller"),
    "still": ("stays still", "does not move", "stands still", "rests", "is still"),
}  # fmt: skip
#: Said around a prompt without changing what it shows.
OPENINGS = (
    "a video of", "an animation of", "there is", "we see", "a clip of", "a short film of", "showing",
    "a scene with",
    "animation:", "please show", "generate", "a beautiful video of", "a high quality video of",
)  # fmt: skip
CLOSINGS = (
    "4k", "high quality", "smooth animation", "cinematic", "simple shapes", "in the style of a cartoon",
    "best quality",
    "minimalist", "sharp focus", "beautiful light", "masterpiece", "slow camera", "calm mood", "please",
    "detailed",
)  # fmt: skip
ADJECTIVES = (
    "beautiful", "shiny", "nice", "bright", "simple", "lovely", "happy", "strange", "lonely", "glossy",
    "magic",
    "single", "famous", "new", "old", "pretty", "perfect", "cute", "wonderful", "realistic",
)  # fmt: skip
LETTERS = "abcdefghijklmnopqrstuvwxyz"


#: Whose a word is: nobody's, that of thing 1, 2, 3, or the background's.
NOBODY, BACKGROUND = 0, 4


@dataclass(frozen=True)
class Word:
    text: str
    owner: int


def caption(rng: Generator, scene: Scene) -> str:
    """One wording of `scene`."""
    return " ".join(word.text for word in told(rng, scene))


def told(rng: Generator, scene: Scene) -> list[Word]:
    """The words of one wording of `scene`, each with its owner."""
    joint = pick(rng, [" and", " and", ",", " while", " and then"])
    words: list[Word] = []
    for owner, thing in enumerate(scene.things, start=1):
        if words:
            words = joined(words, joint)
        words += owned(phrase(rng, thing), owner)
    behind = owned(background(rng, scene.backdrop), BACKGROUND)
    if behind:
        words = [*joined(behind, ","), *words] if rng.random() < 0.1 else [*words, *behind]
    return dressed(rng, words)


def owned(text: str, owner: int) -> list[Word]:
    return [Word(word, owner) for word in text.split()]


def joined(words: list[Word], joint: str) -> list[Word]:
    """`words`, with a comma at the last of them or nobody's words after it."""
    if joint == ",":
        return [*words[:-1], Word(words[-1].text + ",", words[-1].owner)]
    return [*words, *owned(joint, NOBODY)]


def phrase(rng: Generator, thing: Thing) -> str:
    """`a small striped red ball slowly moves to the left`, in one of its wordings."""
    adjectives = [
        pick(rng, ADJECTIVES) if rng.random() < 0.06 else "",
        pick(rng, SIZE_WORDS[thing.size]),
        pick(rng, TEXTURE_WORDS[thing.texture]),
        pick(rng, COLOUR_WORDS.get(thing.colour, (thing.colour,))),
    ]
    noun = " ".join([word for word in adjectives if word] + [pick(rng, NOUNS[thing.shape])])
    article = "an" if noun[0] in "aeiou" else "a"
    start = pick(rng, [article, article, article, "the", "one", ""])
    verb = pick(rng, VERBS[thing.motion])
    if rng.random() < 0.03:
        verb = ""  # any motion will do
    if verb and thing.pace:
        pace = "fast" if thing.pace == "quickly" and rng.random() < 0.4 else thing.pace
        verb = f"{verb} {pace}" if rng.random() < 0.6 or pace == "fast" else f"{pace} {verb}"
    elif verb and thing.motion == "turn" and rng.random() < 0.25:
        verb += " clockwise" if thing.path.turn > 0 else " counterclockwise"
    if " " in verb and verb.split()[0].endswith("ing") and rng.random() < 0.2:
        verb = "that is " + verb
    return " ".join(part for part in (start, noun, verb) if part)


def background(rng: Generator, backdrop: Backdrop) -> str:
    if not backdrop.colour:
        return pick(rng, ["", "", "", "", "", "on a dark background", "on a black background"])
    preposition = pick(rng, ["on a", "on a", "on a", "in front of a", "against a", "over a", "with a"])
    if backdrop.kind == "field":
        if backdrop.colour == "green" and rng.random() < 0.25:
            return pick(rng, ["on green grass", "on the grass", "in a meadow", "on a meadow"])
        return f"{pick(rng, ['on a', 'on a', 'over a', 'in a'])} {backdrop.colour} field"
    kind = {"plain": "", "gradient": "", "checkered": "checkered ", "striped": "striped "}[backdrop.kind]
    if backdrop.kind == "plain" and rng.random() < 0.08:
        kind = "plain "
    article = preposition + ("n" if not kind and backdrop.colour[0] in "aeiou" else "")
    return f"{article} {kind}{backdrop.colour} background"


def dressed(rng: Generator, words: list[Word]) -> list[Word]:
    """`words` with others around them that mean nothing here, as users write them."""
    if rng.random() < 0.1:
        words = [*owned(pick(rng, OPENINGS), NOBODY), *words]
    if rng.random() < 0.1:
        for _ in range(int(rng.integers(1, 4))):
            words = [*joined(words, ","), *owned(pick(rng, CLOSINGS), NOBODY)]
    if rng.random() < 0.04:
        at = int(rng.integers(len(words) + 1))
        words = [*words[:at], Word(nonsense(rng), NOBODY), *words[at:]]
    return [*words[:-1], Word(words[-1].text + ".", words[-1].owner)] if rng.random() < 0.1 else words


def nonsense(rng: Generator) -> str:
    return "".join(pick(rng, LETTERS) for _ in range(int(rng.integers(3, 9))))
