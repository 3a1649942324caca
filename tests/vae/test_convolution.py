"""The forms that tensor cores like give what the plain ones give."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.vae.tiny import noise, randomise
from wancore.vae import convolution
from wancore.vae.convolution import convolve, halve, one_dnn, pictures, pointwise, whole_groups
from wancore.vae.layers import CausalConv3d


@pytest.fixture
def as_on_tensor_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "on_tensor_cores", lambda x: True)


@pytest.mark.parametrize("channels", [(3, 16), (16, 3), (5, 5), (8, 8)])
def test_missing_channels_are_zeros(channels: tuple[int, int]) -> None:
    conv = randomise(CausalConv3d(*channels, (3, 3, 3)))
    assert isinstance(conv, CausalConv3d)
    x, add = noise(1, channels[0], 4, 5, 6), noise(1, channels[1], 2, 5, 6, seed=1)
    torch.testing.assert_close(whole_groups(conv, x), convolve(conv, x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(whole_groups(conv, x, add), convolve(conv, x, add), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("side", [(6, 8), (7, 5)])
def test_halving_with_symmetric_padding(side: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    conv, x = randomise(nn.Conv2d(3, 5, 3, stride=2)), noise(2, 3, *side)
    assert isinstance(conv, nn.Conv2d)
    plain = halve(conv, x)
    monkeypatch.setattr(convolution, "on_tensor_cores", lambda x: True)
    symmetric = halve(conv, x)
    assert plain.shape == (2, 5, side[0] // 2, side[1] // 2)
    torch.testing.assert_close(symmetric, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("as_on_tensor_cores")
def test_one_by_one_is_a_linear() -> None:
    conv, x = randomise(nn.Conv3d(4, 7, 1)), noise(2, 4, 3, 5, 6)
    torch.testing.assert_close(pointwise(conv, x), conv(x), rtol=1e-4, atol=1e-5)
    assert pointwise(nn.Identity(), x) is x


def test_what_leaves_is_the_same_without_a_kernel() -> None:
    conv, x = randomise(CausalConv3d(4, 3, (3, 3, 3))), noise(1, 4, 4, 5, 6)
    assert isinstance(conv, CausalConv3d)
    assert torch.equal(pictures(conv, x), convolve(conv, x))


@pytest.mark.parametrize(("kernel", "stride"), [((3, 3, 3), 1), ((3, 1, 1), 2), ((3, 1, 1), 1)])
def test_one_dnn_gives_what_pytorch_gives(kernel: tuple[int, int, int], stride: int) -> None:
    """The result and every gradient, at sizes for which PyTorch asks something else."""
    conv = randomise(CausalConv3d(4, 6, kernel, stride))
    assert isinstance(conv, CausalConv3d)
    x = noise(2, 4, 5, 7, 6).requires_grad_()
    conv.requires_grad_()
    inputs = (x, conv.weight, conv.bias)
    ours, theirs = one_dnn(conv, x), nn.Conv3d.forward(conv, x)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    gradients = [torch.autograd.grad(y.square().sum(), inputs) for y in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)


def test_gradients_reach_what_is_added() -> None:
    conv = randomise(CausalConv3d(4, 4, (3, 3, 3)))
    assert isinstance(conv, CausalConv3d)
    x, add = noise(1, 4, 4, 5, 6).requires_grad_(), noise(1, 4, 2, 5, 6).requires_grad_()
    convolve(conv, x, add).sum().backward()
    assert x.grad is not None and add.grad is not None and torch.equal(add.grad, torch.ones_like(add))
