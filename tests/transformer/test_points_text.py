"""kv, text_set, after_cross: each acts where the textbook is edited."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.transformer.adapters.single import Single
from tests.transformer.models import noise, tiny
from tests.transformer.points import CANVAS, MATRIX, ROWS, SCENE, Kept, agree, segment
from tests.transformer.scene import Scene
from tests.transformer.textbook import Textbook, attention, rotate
from wancore.kernels.attention import Attend
from wancore.transformer.adapter import Values
from wancore.transformer.canvas import Canvas
from wancore.transformer.keys import KeySet
from wancore.transformer.rope import Rotation
from wancore.transformer.rows import Rows

READING = 16  # rows that take part in text attention: the canvas and one segment


def test_kv_is_a_softmax_of_its_own_before_the_projection() -> None:
    k, v = 2 * noise(5, 2, 24, seed=1), noise(5, 2, 24, seed=2)
    sets = (KeySet(k, v, scale=0.5), KeySet(k[:2], v[:2], rows=(3, 9), scale=torch.tensor(2.0)))
    adapter = Single(values=lambda context: [Values(kv=sets), Values(kv=sets[:1])])
    kept = Kept()

    def add(i: int, heads: Tensor) -> Tensor:
        q, few = kept["text_q", i], torch.zeros(ROWS)
        few[3:9] = 2.0 * (i == 0)
        heads = heads + 0.5 * attention(q, k.double(), v.double())
        return heads + few[:, None, None] * attention(q, k[:2].double(), v[:2].double())

    agree({"a": adapter}, {**kept.keeping("text_q"), "text_heads": add})


def test_kv_in_groups_of_different_length() -> None:
    """Keys per clip frame, of which some frames use fewer and one uses none; service frames have none."""
    scene = Scene(tiny(), Canvas(3, 2, 2, head=1, tail=1), segments=(segment("reading", 4, 6),))
    k, v, lengths = 2 * noise(3, 5, 2, 24, seed=1), noise(3, 5, 2, 24, seed=2), torch.tensor([5, 0, 2])
    sets = (KeySet(k, v, scene.canvas.clip, 1.5, lengths),)
    kept = Kept()

    def add(i: int, heads: Tensor) -> Tensor:
        heads = heads.clone()
        for frame, n in enumerate(lengths.tolist()):
            rows = slice(4 + 4 * frame, 8 + 4 * frame)
            if n:
                q, keys, values = kept["text_q", i][rows], k[frame, :n].double(), v[frame, :n].double()
                heads[rows] += 1.5 * attention(q, keys, values)
        return heads

    adapter = Single(values=lambda context: [Values(kv=sets)] * 2)
    agree({"a": adapter}, {**kept.keeping("text_q"), "text_heads": add}, scene)


def test_text_set_replaces_attention_to_text_only() -> None:
    """Queries and text keys rotated, image tokens left alone."""
    scene = Scene(tiny(image_dim=10), segments=SCENE.segments, image_rows=5)
    turns = torch.polar(torch.ones(ROWS, 12), noise(ROWS, 12, seed=4))
    reading, keys = Rotation.of(turns[:READING]), Rotation.of(turns[:6])

    def rotated(q: Tensor, sets: tuple[KeySet, ...], attend: Attend, data: object) -> Tensor:
        (text,) = sets
        return attend(reading(q), keys(text.k), text.v)

    kept = Kept()

    def turned(i: int, heads: Tensor) -> Tensor:
        book, b = Textbook.of(scene.model), f"blocks.{i}.cross_attn"
        text = book.embed_text(scene.text, 6)
        k = book.split(book.rms(f"{b}.norm_k", book.linear(f"{b}.k", text)))
        v = book.split(book.linear(f"{b}.v", text))
        return attention(rotate(kept["text_q", i], turns), rotate(k, turns[:6]), v)

    adapter = Single(lambda i: {"text_set": rotated})
    agree({"a": adapter}, {**kept.keeping("text_q"), "text_set": turned}, scene)


def test_after_cross_reads_x_after_text_attention() -> None:
    """Two adapters read the same x; each gives a residual for some rows."""
    adapters = {
        "a": Single(lambda i: {"after_cross": lambda x, data, seen: Rows(x[2:CANVAS] @ MATRIX[i], 2)}),
        "b": Single(lambda i: {"after_cross": lambda x, data, seen: Rows(x @ MATRIX[1 - i], 0, 0.5)}),
    }

    def add(i: int, x: Tensor) -> Tensor:
        some = ((torch.arange(ROWS) >= 2) & (torch.arange(ROWS) < CANVAS))[:, None]
        return x + some * (x @ MATRIX[i].double()) + 0.5 * x @ MATRIX[1 - i].double()

    agree(adapters, {"x_text": add})
