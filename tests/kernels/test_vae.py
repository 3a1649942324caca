"""The VAE's operations: the twins against their formulas, the CUDA kernels against the twins in float64."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from wancore.kernels import vae as ops

ROUNDING = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def on_device(x: Tensor, dtype: torch.dtype, *, channels_last: bool = True) -> Tensor:
    x = x.to("cuda", dtype)
    return x.contiguous(memory_format=torch.channels_last_3d) if channels_last and x.ndim == 5 else x


def close(found: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    scale = expected.abs().max().item() or 1.0
    torch.testing.assert_close(
        found.double().cpu(), expected, rtol=ROUNDING[dtype], atol=scale * ROUNDING[dtype] / 4
    )


def against_twin(
    op: Callable[..., Tensor],
    twin: Callable[..., Tensor],
    dtype: torch.dtype,
    *tensors: Tensor,
    **kwargs: object,
) -> None:
    rounded = [t.to(dtype) for t in tensors]
    found = op(*[on_device(t, dtype) for t in rounded], **kwargs)
    close(found, twin(*[t.double() for t in rounded], **kwargs), dtype)


def test_the_twin_is_the_formula() -> None:
    x, gamma = noise(2, 6, 3, 4, 5), noise(6, 1, 1, 1, seed=1)
    wide = x.double()
    norm = wide / wide.square().sum(1, keepdim=True).sqrt() * 6**0.5 * gamma.double()
    frames, past = ops.extend(x, None, 2, gamma)
    torch.testing.assert_close(frames[:, :, 2:].double(), norm * norm.sigmoid(), rtol=1e-5, atol=1e-5)
    assert not frames[:, :, :2].any()
    assert torch.equal(past, frames[:, :, 3:])


def test_what_is_kept_holds_no_more_than_its_frames() -> None:
    _, past = ops.extend(noise(1, 6, 9, 4, 5), None, 2)
    assert past.untyped_storage().nbytes() == 4 * 6 * 2 * 4 * 5


@pytest.mark.parametrize(
    ("size", "fits"), [(12, True), (24, True), (48, True), (20, True), (80, True), (7, False), (256, False)]
)
def test_pixels_are_shared_out_to_whole_warps(size: int, fits: bool) -> None:
    assert ops.whole_warps(size) == fits


def test_nothing_runs_on_the_gpu_without_one() -> None:
    x = noise(1, 96, 3, 4, 4).bfloat16()
    assert not ops.fits(x, 2)
    assert not ops.conv_fits(x, noise(96, 96, 3, 3, 3).bfloat16())


def test_folding_and_unfolding_are_transposes() -> None:
    fold = ops.Fold(2, 2)
    x, y = noise(1, 4, 4, 4, 6), noise(1, 8, 2, 2, 3, seed=1)
    folded = ops.add_averaged(torch.zeros(1, 8, 2, 2, 3), x, fold)
    unfolded = ops.add_repeated(torch.zeros(1, 4, 4, 4, 6), y, fold)
    share = 4 * fold.time * fold.space**2 // 8
    torch.testing.assert_close((folded * y).sum() * share, (x * unfolded).sum())


def test_the_frame_before_the_first_counts_as_zeros() -> None:
    x = noise(1, 4, 1, 2, 2)
    folded = ops.add_averaged(torch.zeros(1, 8, 1, 1, 1), x, ops.Fold(2, 2))
    assert not folded[:, 0::2].any()
    torch.testing.assert_close(folded[:, 1::2, 0, 0, 0], x.mean((2, 3, 4)))


def test_a_missing_first_frame_is_left_out() -> None:
    y = noise(1, 4, 1, 2, 2)
    both = ops.add_repeated(torch.zeros(1, 4, 2, 4, 4), y, ops.Fold(2, 2))
    last = ops.add_repeated(torch.zeros(1, 4, 1, 4, 4), y, ops.Fold(2, 2))
    assert torch.equal(last, both[:, :, 1:])


def test_upsampling_takes_frames_out_of_the_channels() -> None:
    x = noise(1, 6, 2, 2, 3)
    y = ops.upsample(x, parts=2)
    assert torch.equal(y[:, :, 0, ::2, ::2], x[:, :3, 0])
    assert torch.equal(y[:, :, 1, 1::2, 1::2], x[:, 3:, 0])
    assert torch.equal(y[:, :, 3, ::2, 1::2], x[:, 3:, 1])


CHANNELS = st.sampled_from([8, 24, 96, 160, 192, 256, 320, 384, 512, 640, 1024])
DTYPES = st.sampled_from([torch.bfloat16, torch.float16, torch.float32])
SIDES = st.tuples(st.integers(1, 9), st.integers(1, 9))


@on_gpu
@settings(deadline=None, max_examples=40)
@given(
    channels=CHANNELS,
    dtype=DTYPES,
    side=SIDES,
    chunks=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    count=st.integers(1, 2),
    normalised=st.booleans(),
)
def test_extend(
    channels: int, dtype: torch.dtype, side: tuple[int, int], chunks: list[int], count: int, normalised: bool
) -> None:
    gamma = noise(channels, 1, 1, 1, seed=1).to(dtype) if normalised else None
    past = expected_past = None
    for seed, frames in enumerate(chunks):
        x = noise(1, channels, frames, *side, seed=seed).to(dtype)
        given_gamma = None if gamma is None else gamma.cuda()
        found, past = ops.extend(on_device(x, dtype, channels_last=seed % 2 == 0), past, count, given_gamma)
        expected, expected_past = ops.extend_twin(
            x.double(), expected_past, count, None if gamma is None else gamma.double()
        )
        close(found, expected, dtype)
        close(past, expected_past, dtype)


@on_gpu
@settings(deadline=None, max_examples=20)
@given(channels=CHANNELS, dtype=DTYPES, side=SIDES, count=st.integers(1, 3))
def test_rms_norm(channels: int, dtype: torch.dtype, side: tuple[int, int], count: int) -> None:
    x, gamma = 30 * noise(count, channels, *side), noise(channels, 1, 1, seed=1)
    against_twin(ops.rms_norm, ops.rms_norm_twin, dtype, x, gamma)


@on_gpu
@settings(deadline=None, max_examples=20)
@given(channels=CHANNELS, dtype=DTYPES, side=SIDES, frames=st.integers(1, 3), parts=st.integers(1, 2))
def test_upsample(channels: int, dtype: torch.dtype, side: tuple[int, int], frames: int, parts: int) -> None:
    x = noise(1, parts * channels, frames, *side)
    against_twin(ops.upsample, ops.upsample_twin, dtype, x, parts=parts)


@on_gpu
@settings(deadline=None, max_examples=20)
@given(
    widths=st.sampled_from([(160, 160), (160, 320), (320, 640), (8, 8), (24, 48)]),
    dtype=DTYPES, side=SIDES, frames=st.integers(1, 4), fold=st.sampled_from([(1, 2), (2, 2), (1, 1)]),
)  # fmt: skip
def test_add_averaged(
    widths: tuple[int, int], dtype: torch.dtype, side: tuple[int, int], frames: int, fold: tuple[int, int]
) -> None:
    (channels, outputs), (time, space) = widths, fold
    if fold == (1, 1):
        outputs = channels
    x = noise(1, channels, frames, side[0] * space, side[1] * space)
    y = noise(1, outputs, -(-frames // time), *side, seed=1)
    against_twin(ops.add_averaged, ops.add_averaged_twin, dtype, y, x, fold=ops.Fold(*fold))


@on_gpu
@settings(deadline=None, max_examples=20)
@given(channels=CHANNELS, dtype=DTYPES, side=SIDES, frames=st.integers(1, 3), more=st.booleans())
def test_add_bias(channels: int, dtype: torch.dtype, side: tuple[int, int], frames: int, more: bool) -> None:
    y, add = noise(1, channels, frames, *side), noise(1, channels, frames, *side, seed=2)
    bias = noise(channels, seed=1)
    against_twin(ops.add_bias, ops.add_bias_twin, dtype, y, bias, *([add] if more else []))


@on_gpu
@settings(deadline=None, max_examples=20)
@given(
    widths=st.sampled_from([(1024, 1024), (1024, 512), (8, 8), (48, 24)]),
    dtype=DTYPES, side=SIDES, frames=st.integers(1, 4), time=st.integers(1, 2), first=st.booleans(),
)  # fmt: skip
def test_add_repeated(
    widths: tuple[int, int], dtype: torch.dtype, side: tuple[int, int], frames: int, time: int, first: bool
) -> None:
    channels, outputs = widths
    x = noise(1, channels, frames, *side)
    y = noise(1, outputs, frames * time - (time - 1 if first else 0), side[0] * 2, side[1] * 2, seed=1)
    against_twin(ops.add_repeated, ops.add_repeated_twin, dtype, y, x, fold=ops.Fold(time, 2))


@on_gpu
@settings(deadline=None, max_examples=30)
@given(
    channels=st.sampled_from(
        [
            (96, 96),
            (3, 96),
            (32, 96),
            (192, 96),
            (96, 192),
            (384, 384),
            (160, 80),
            (12, 160),
        ]
    ),
    frames=st.integers(1, 9),
    side=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    extras=st.tuples(st.booleans(), st.booleans()),
)
def test_causal_conv(
    channels: tuple[int, int], frames: int, side: tuple[int, int], extras: tuple[bool, bool]
) -> None:
    inputs, outputs = channels
    dtype = torch.bfloat16
    weight = (noise(outputs, inputs, 3, 3, 3, seed=1) / (27 * inputs) ** 0.5).to(dtype).cuda()
    bias = noise(outputs, seed=2).to(dtype).cuda() if extras[0] else None
    add = on_device(noise(1, outputs, frames, *side, seed=3), dtype) if extras[1] else None
    x = on_device(noise(1, inputs, frames + 2, *side), dtype)
    with torch.no_grad():
        if not ops.conv_fits(x, weight):
            pytest.skip("needs a Hopper GPU")
        found = ops.causal_conv(x, weight, bias, add)
    wide = [None if t is None else t.double() for t in (bias, add)]
    close(found, ops.causal_conv_twin(x.double(), weight.double(), *wide).cpu(), dtype)


@on_gpu
@settings(deadline=None, max_examples=20)
@given(
    channels=st.sampled_from([(96, 3), (256, 12), (32, 16)]),
    frames=st.integers(1, 9),
    side=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_causal_conv_planes(channels: tuple[int, int], frames: int, side: tuple[int, int]) -> None:
    inputs, outputs = channels
    dtype = torch.bfloat16
    weight = (noise(outputs, inputs, 3, 3, 3, seed=1) / (27 * inputs) ** 0.5).to(dtype).cuda()
    bias = noise(outputs, seed=2).to(dtype).cuda()
    x = on_device(noise(1, inputs, frames + 2, *side), dtype)
    with torch.no_grad():
        if not ops.planes_fit(x, weight):
            pytest.skip("needs a Hopper GPU")
        found = ops.causal_conv_planes(x, weight, bias)
    assert found.dtype == torch.float32
    close(found, ops.causal_conv_planes_twin(x.double(), weight.double(), bias.double()).cpu(), dtype)


def test_a_kernel_on_doubled_pixels_is_four_on_these() -> None:
    x, weight = noise(1, 4, 2, 5, 3), noise(6, 4, 3, 3, seed=1)
    halves = torch.tensor(ops.HALVES, dtype=torch.float32)
    quarters = torch.einsum("yak,xbl,oikl->yxoiab", halves, halves, weight)
    y = ops.up_conv(x, weight, None, parts=1)
    frames = torch.nn.functional.pad(x[0].transpose(0, 1), (1, 1, 1, 1))
    for down in range(2):
        for right in range(2):
            part = torch.nn.functional.conv2d(frames, quarters[down, right])
            part = part[:, :, down : down + 5, right : right + 3].transpose(0, 1)
            torch.testing.assert_close(y[0, :, :, down::2, right::2], part, rtol=1e-4, atol=1e-5)


@on_gpu
@settings(deadline=None, max_examples=20)
@given(
    channels=st.sampled_from([(96, 96), (192, 96), (384, 192), (256, 128), (32, 256)]),
    frames=st.integers(1, 5),
    parts=st.integers(1, 2),
    side=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_up_conv(channels: tuple[int, int], frames: int, parts: int, side: tuple[int, int]) -> None:
    inputs, outputs = channels
    dtype = torch.bfloat16
    weight = (noise(outputs, inputs, 3, 3, seed=1) / (9 * inputs) ** 0.5).to(dtype).cuda()
    bias = noise(outputs, seed=2).to(dtype).cuda()
    x = on_device(noise(1, parts * inputs, frames, *side), dtype)
    with torch.no_grad():
        if not ops.up_fits(x, weight):
            pytest.skip("needs a Hopper GPU")
        found = ops.up_conv(x, weight, bias, parts)
    close(found, ops.up_conv_twin(x.double(), weight.double(), bias.double(), parts).cpu(), dtype)
