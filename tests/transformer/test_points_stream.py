"""hint, after_block, tokens, embed, time, skip, and what a context tells an adapter."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from tests.transformer.adapters.single import Single
from tests.transformer.models import noise, relative, tiny
from tests.transformer.points import CANVAS, MATRIX, ROWS, SCENE, TIGHT, Kept, agree
from tests.transformer.textbook import Textbook
from wancore.transformer.context import Context
from wancore.transformer.rows import Rows


def test_hint_reads_the_stream_before_a_block_and_is_added_after_it() -> None:
    def hint(i: int, x: Tensor) -> Rows | None:
        return Rows(x[3:CANVAS] @ MATRIX[1], 3, torch.tensor(0.5)) if i == 1 else None

    kept = Kept()
    rows = ((torch.arange(ROWS) >= 3) & (torch.arange(ROWS) < CANVAS))[:, None]

    def add(i: int, x: Tensor) -> Tensor:
        before = kept.get(("x", 0))
        kept["x", i] = x
        return x if before is None else x + 0.5 * rows * (before @ MATRIX[1].double())

    agree({"a": Single(hint=hint)}, {"x": add})


def test_after_block_reads_x_with_all_hints() -> None:
    def after(i: int) -> dict[str, object]:
        return {"after_block": lambda x, data: Rows(x[:CANVAS] @ MATRIX[i])} if i == 0 else {}

    adapters = {
        "a": Single(after),
        "b": Single(after, hint=lambda i, x: Rows(torch.full((ROWS, 48), 0.3))),
        "c": Single(hint=lambda i, x: Rows(torch.full((CANVAS, 48), 0.5))),
    }
    canvas = (torch.arange(ROWS) < CANVAS)[:, None]

    def add(i: int, x: Tensor) -> Tensor:
        x = x + 0.3 + 0.5 * canvas
        return x + 2 * (i == 0) * canvas * (x @ MATRIX[0].double())

    agree(adapters, {"x": add})


def test_tokens_are_added_to_the_patch_embedding() -> None:
    added = noise(7, 48, seed=1)
    adapters = {
        "a": Single(tokens=Rows(added, 5, 0.5)),
        "b": Single(tokens=Rows(torch.ones(48).expand(12, -1))),
    }
    rows = torch.ones(CANVAS, 48)
    rows[5:] += 0.5 * added
    assert relative(SCENE.predict(adapters), SCENE.textbook(added=rows)) < TIGHT
    assert relative(SCENE.predict(adapters), SCENE.textbook()) > 1e-2


def test_embed_replaces_the_patch_embedding_and_tokens_still_add() -> None:
    def embed(latents: Tensor, data: object) -> Tensor:
        return latents.mean(0)[:, ::2, ::2].reshape(-1, 1) * torch.ones(48)

    wanted = embed(SCENE.latents, None)
    adapters = {"a": Single(embed=embed), "b": Single(tokens=Rows(torch.ones(CANVAS, 48)))}
    assert relative(SCENE.predict(adapters), SCENE.textbook(embedded=wanted, added=torch.ones(1))) < TIGHT


def test_time_is_added_to_the_projection_but_not_to_the_head() -> None:
    added = noise(2, 6, 48, seed=3)
    adapters = {"a": Single(time=added[0]), "b": Single(time=added[1])}
    assert relative(SCENE.predict(adapters), SCENE.textbook(time_add=added.sum(0).double())) < TIGHT
    assert relative(SCENE.predict(adapters), SCENE.textbook()) > 1e-2


def test_a_skipped_block_is_left_out_with_everything_on_it() -> None:
    def everywhere(i: int) -> dict[str, object]:
        return {
            "after_block": lambda x, data: Rows(x @ MATRIX[i % 2]),
            "attn_out": lambda a, data, seen: a * 2,
        }

    scene = replace(SCENE, model=tiny(num_layers=3), skip=(1,))
    asked: list[int] = []

    def hint(i: int, x: Tensor) -> Rows:
        asked.append(i)
        return Rows(torch.full((CANVAS, 48), float(i)))

    canvas = (torch.arange(ROWS) < CANVAS)[:, None]

    def add(i: int, x: Tensor) -> Tensor:
        x = x + i * canvas
        return x + x @ MATRIX[i % 2].double()

    agree({"a": Single(everywhere, hint=hint)}, {"x": add, "projected": lambda i, a: 2 * a}, scene)
    assert asked == [0, 2]


def test_the_context_is_the_prediction_at_hand() -> None:
    """Everything an adapter may read, as the blocks will see it."""
    contexts: list[Context] = []
    added = Rows(noise(CANVAS, 48, seed=1))
    scene = replace(SCENE, model=tiny(image_dim=10), image_rows=5)
    scene.predict({"a": Single(values=contexts.append, tokens=added, time=torch.ones(6, 48))}, a="data")
    (context,) = contexts
    book = Textbook.of(scene.model)
    e, e0 = book.embed_time(torch.tensor([700.0, 0]))
    assert context.data == "data" and context.model is scene.model
    assert context.times.tolist() == [700, 0]
    assert relative(context.e, e) < TIGHT and relative(context.e0, e0 + 1) < TIGHT
    assert relative(context.x, book.embed(scene.latents) + added.tensor) < TIGHT
    assert torch.equal(context.latents, scene.latents)
    assert context.text is not None and relative(context.text, book.embed_text(scene.text, 6)) < TIGHT
    assert context.image is not None and context.image.shape == (5, 48)
    assert len(context.keys) == 2 and context.layout.spans["silent"] == (16, 19)
