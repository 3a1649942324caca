"""The training's own pieces, where a mistake would cost a run."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from tools.tiny.corpus.captions import BACKGROUND
from tools.tiny.learn.autoencoder import decode, encode, norm_silu, with_statistics
from tools.tiny.learn.master import Master
from tools.tiny.learn.muon import orthogonal
from tools.tiny.learn.reading import OF_THE_SCENE, QUESTIONS, UNKNOWN, Reader, draw_lesson
from tools.tiny.learn.sizes import fresh_vae
from tools.tiny.learn.words import END, Captions, trained_tokenizer
from wancore.vae.layers import RMSNorm


def test_two_chunks_encode_and_decode_as_groups_of_four() -> None:
    torch.manual_seed(0)
    network = fresh_vae()
    video = torch.randn(1, 3, 9, 16, 16)
    from wancore.vae.statistics import LatentStatistics
    from wancore.vae.vae import Vae

    vae = Vae(network, LatentStatistics.identity(16))
    with torch.no_grad():
        mean = encode(network, video)[0]
        torch.testing.assert_close(mean[0], vae.encode(video[0]), atol=1e-5, rtol=1e-4)
        whole = decode(network, mean)[0]
        torch.testing.assert_close(whole, vae.decode(mean[0], clamp=False), atol=1e-5, rtol=1e-4)


def test_folded_statistics_change_the_latents_and_not_the_pictures() -> None:
    torch.manual_seed(1)
    network, video = fresh_vae(), torch.randn(1, 3, 5, 16, 16)
    mean, std = torch.randn(16), torch.rand(16) + 0.5
    wanted = torch.randn(16), torch.rand(16) + 0.5
    with torch.no_grad():
        raw = encode(network, video)[0]
        before = decode(network, raw)
        with_statistics(network, mean, std, wanted)
        folded = encode(network, video)[0]
        shape = (1, -1, 1, 1, 1)
        moved = (raw - mean.view(shape)) / std.view(shape) * wanted[1].view(shape) + wanted[0].view(shape)
        torch.testing.assert_close(folded, moved, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(decode(network, folded), before, atol=1e-3, rtol=1e-3)


def test_orthogonal_has_singular_values_near_one() -> None:
    torch.manual_seed(2)
    for shape in ((3, 24, 24), (2, 40, 16), (2, 16, 40)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
        assert (values > 0.6).all() and (values < 1.4).all()


def test_the_module_computes_with_what_will_be_stored() -> None:
    torch.manual_seed(3)
    module = torch.nn.Linear(8, 8)
    master = Master([module], 1e-2, 0.9, rounded=["weight"])
    module(torch.randn(4, 8)).square().sum().backward()
    master.set_rate(1.0)
    before = [p.detach().clone() for p in master.high]
    master.step()
    assert all((p != b).any() for p, b in zip(master.high, before, strict=True))
    torch.testing.assert_close(module.weight, master.high[0].to(torch.float8_e4m3fn).float())
    torch.testing.assert_close(module.bias, master.high[1].detach())


def test_rounding_can_be_left_for_later() -> None:
    torch.manual_seed(4)
    module = torch.nn.Linear(8, 8)
    master = Master([module], 1e-2, 0.9, rounded=["weight"])
    master.set_rounding(0.0)
    master.use_current()
    torch.testing.assert_close(module.weight, master.high[0].detach())
    master.use_average()
    torch.testing.assert_close(module.weight, master.average[0].to(torch.float8_e4m3fn).float())


def test_the_quick_norm_is_the_products_norm_and_silu() -> None:
    torch.manual_seed(5)
    norm, x = RMSNorm(32, axes=3), torch.randn(2, 32, 3, 4, 5)
    torch.nn.init.normal_(norm.gamma)
    rows = x.movedim(1, -1)
    found = norm_silu(rows.reshape(-1, 32), norm.gamma.flatten()).view(rows.shape).movedim(-1, 1)
    torch.testing.assert_close(found, F.silu(norm(x)))


def test_every_token_is_asked_about_what_it_belongs_to() -> None:
    captions = Captions(trained_tokenizer())
    lesson = draw_lesson(np.random.default_rng(6), captions, 40)
    owner, colour = (list(QUESTIONS).index(name) for name in ("owner", "colour"))
    words = [captions.tokenizer.id_to_token(i).strip("\u2581") for i in range(captions.size)]
    said = [(words[i], row) for ids, rows in zip(lesson.ids, lesson.tokens, strict=True)
            for i, row in zip(ids.tolist(), rows.tolist(), strict=True)]  # fmt: skip
    reds = [row for word, row in said if word == "red"]
    assert reds and all(row[colour] == 0 for row in reds if 1 <= row[owner] <= 3)
    assert all(
        row[owner] == BACKGROUND and row[colour] == UNKNOWN for word, row in said if word == "background"
    )
    assert (lesson.tokens[lesson.ids == END][:, owner] == BACKGROUND).all()
    loss, right = Reader(captions.size)(lesson)
    loss.backward()
    assert torch.isfinite(loss) and set(OF_THE_SCENE) < set(right)
