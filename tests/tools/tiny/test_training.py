"""The training's own pieces, where a mistake would cost a run."""

from __future__ import annotations

import torch

from tools.tiny.learn.autoencoder import decode, encode, with_statistics
from tools.tiny.learn.master import Master
from tools.tiny.learn.muon import orthogonal
from tools.tiny.learn.sizes import fresh_vae


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
