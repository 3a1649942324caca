"""Every kernel against its twin in float64, over random shapes, odd sizes and strides.

Under compute-sanitizer, PYTORCH_NO_CUDA_MEMORY_CACHING=1 makes each tensor an allocation of its own.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.kernels.compare import close, codes_close
from wancore.kernels.activation import activation, quantise_rows
from wancore.kernels.codes import Codes
from wancore.kernels.fp8_product import fp8_product, row_wise
from wancore.kernels.junction import Affine, Form, Modulated, Update, junction, junction_twin
from wancore.kernels.low_rank import OPERATOR, add_low_rank_twin
from wancore.kernels.product import product_twin
from wancore.kernels.requantise import Requantised, requantise_rows, requantise_rows_twin
from wancore.kernels.rotary import norm_rotate, norm_rotate_twin, rms_norm, rms_norm_twin
from wancore.kernels.sources import KERNELS
from wancore.transformer.fp8 import use_fp8
from wancore.transformer.levels import Levels
from wancore.transformer.linears import feed_forward, lay_side_by_side, project

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
DTYPES = [torch.float32, torch.float16, torch.bfloat16]
WIDTHS = [8, 16, 24, 136, 248, 1536, 3072, 5120, 8960, 13824, 14336, 16384]


@pytest.fixture(autouse=True)
def on_kernels() -> Iterator[None]:
    assert KERNELS.serves(torch.device("cuda", 0))
    torch.manual_seed(0)
    random.seed(0)
    with torch.no_grad():
        yield


def rows(count: int, width: int, dtype: torch.dtype, size: float = 1.0) -> Tensor:
    """Random rows, now and then a slice of something wider."""
    extra = random.choice([0, 0, 8, width])
    whole = torch.randn(count, width + extra, device="cuda") * size + 0.3 * size
    return whole.to(dtype)[:, extra:] if extra else whole.to(dtype)


def table(levels: int, width: int) -> Tensor:
    """As modulation has it: one of six rows per level."""
    return torch.randn(levels, 6, width, device="cuda")[:, random.randrange(6)]


def shapes(count: int = 14) -> Iterator[tuple[int, int]]:
    for width in WIDTHS:
        yield random.randint(1, 9), width
    for _ in range(count):
        yield random.randint(1, 70), 8 * random.randint(1, 700)


@pytest.mark.parametrize("dtype", DTYPES)
def test_junction(dtype: torch.dtype) -> None:
    for count, width in shapes():
        levels = Levels()
        if random.random() < 0.5:
            index = torch.randint(0, 3, (count,), dtype=torch.int32, device="cuda")
            levels = Levels(3, index)
        x = rows(count, width, dtype, random.choice([0.1, 1, 30]))
        updates = []
        if random.random() < 0.7:
            updates.append(Update(rows(count, width, dtype), gate=table(levels.count, width)))
        if random.random() < 0.7:
            part = random.randint(1, count)
            start = random.randint(0, count - part)
            strength = random.choice([None, 0.7, torch.tensor(0.3, device="cuda")])
            updates.append(Update(rows(part, width, dtype), start, strength=strength))
        if random.random() < 0.2:
            updates.append(Update(rows(count, width, dtype)))
        norm = random.choice([
            None, Modulated(table(levels.count, width), table(levels.count, width)),
            Affine(rows(1, width, dtype)[0], rows(1, width, dtype)[0]), Affine(),
        ])  # fmt: skip
        form = random.choice([Form(), Form(True, False), Form(True, True)])
        total, n = junction(x, updates, norm, levels, 1e-6, form)

        exact = [Update(u.rows.double(), u.start, u.gate, u.strength) for u in updates]
        wanted, _ = junction_twin(x.double(), exact, None, levels)
        rounded = 2 if len(updates) > 2 else 1  # the sum of the first two is rounded too
        assert close(total, wanted) or (rounded == 2 and relative(total, wanted) < 1e-2)
        if norm is None:
            assert n is None
            continue
        if isinstance(norm, Affine) and norm.weight is not None:
            norm = Affine(norm.weight.double(), norm.bias.double())
        _, exact_n = junction_twin(total.double(), (), norm, levels, 1e-6)
        check_form(n, exact_n, form)


def check_form(got: Tensor | Codes, wanted: Tensor, form: Form, rounded: torch.dtype = torch.float32) -> None:
    if isinstance(got, Tensor):
        assert not form.codes and close(got, wanted)
        return
    assert codes_close(got, wanted, rounded)
    assert (got.plain is not None) == form.plain
    assert got.plain is None or close(got.plain, wanted)


def relative(got: Tensor, wanted: Tensor) -> float:
    return float((got.double() - wanted.double()).norm() / wanted.double().norm())


@pytest.mark.parametrize("dtype", DTYPES)
def test_norm_and_rotation(dtype: torch.dtype) -> None:
    for heads, head in [(1, 8), (3, 24), (2, 128), (12, 128), (24, 128), (40, 128), (5, 64), (7, 40)]:
        count, width = random.randint(1, 40), heads * head
        together = torch.randn(count, 3 * width, device="cuda").to(dtype)
        q, k, v = together.split(width, dim=1)
        kept = v.clone()
        weights = rows(1, width, dtype)[0].contiguous(), rows(1, width, dtype)[0].contiguous()
        angles = 10 * torch.randn(count, head // 2, device="cuda")
        cos, sin = angles.cos(), 0.9 * angles.sin()  # factors need not be of length one
        plain = random.random() < 0.5
        exact = norm_rotate_twin(
            q.double(), k.double(), (weights[0].double(), weights[1].double()), 1e-6, cos, sin, plain
        )
        got = norm_rotate(q, k, weights, 1e-6, cos, sin, plain)
        assert close(got.q, exact.q) and close(got.k, exact.k)
        assert got.q.data_ptr() == q.data_ptr()  # in place, which is the kernel
        assert torch.equal(v, kept)
        assert (got.plain is None) if not plain else close(got.plain, exact.plain)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rms_norm(dtype: torch.dtype) -> None:
    for count, width in shapes():
        x, weight = rows(count, width, dtype, random.choice([0.01, 1, 20])), rows(1, width, dtype)[0]
        assert close(rms_norm(x, weight, 1e-6), rms_norm_twin(x.double(), weight.double(), 1e-6))
        assert close(rms_norm(x, None, 1e-6), rms_norm_twin(x.double(), None, 1e-6))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["identity", "gelu", "silu"])
def test_activation(kind: str, dtype: torch.dtype) -> None:
    for count, width in shapes():
        x = rows(count, width, dtype, random.choice([0.1, 1, 10]))
        gate = random.choice([None, rows(count, width, dtype)])
        bias = random.choice([None, rows(1, width, dtype)[0].contiguous()])
        form = random.choice([Form(), Form(True, False), Form(True, True)])
        got = activation(x, kind, gate, bias, codes=form.codes, plain=form.plain)
        exact = [None if t is None else t.double() for t in (gate, bias)]
        check_form(got, activation(x.double(), kind, *exact), form, dtype)


def test_rows_of_zeros_and_large_values() -> None:
    x = torch.zeros(3, 5120, device="cuda", dtype=torch.bfloat16)
    x[1] = 3e38
    x[2, 7] = 1e-30
    codes = quantise_rows(x)
    assert codes.scale[0] == 1 and not codes.codes[0].float().any()
    assert bool(codes.codes.float().isfinite().all()) and codes.codes[1].float().max() == 448
    n = junction(x, (), Affine())[1]
    assert isinstance(n, Tensor) and not n[0].any()


def test_what_no_kernel_takes_goes_to_the_twin() -> None:
    x = torch.randn(3, 13, device="cuda")
    assert close(rms_norm(x, None, 1e-6), rms_norm_twin(x.double(), None, 1e-6))
    wide = torch.randn(2, 16392, device="cuda")
    assert close(junction(wide, (), Affine())[1], junction_twin(wide.double(), (), Affine())[1])
    shifted = torch.randn(4, 33, device="cuda")[:, 1:]  # not on 16 bytes
    assert close(rms_norm(shifted, None, 1e-6), rms_norm_twin(shifted.double(), None, 1e-6))


def test_fp8_products() -> None:
    if not row_wise():
        pytest.skip("this GPU has no row-wise fp8 products")
    for count, wide, out in [(1, 16, 16), (7, 128, 48), (513, 5120, 5120), (33, 13824, 5120)]:
        x, w, bias, exact = fp8_case(count, wide, out)
        got = fp8_product(x, w.codes, w.scale, bias)
        assert relative(got, exact) < 5e-3
        assert relative(product_twin(x, w.codes, w.scale, bias), exact) < 5e-3


def fp8_case(count: int, wide: int, out: int) -> tuple[Codes, Codes, Tensor, Tensor]:
    """Rows, a weight, its bias, and their product in float64."""
    x = quantise_rows(torch.randn(count, wide, device="cuda", dtype=torch.bfloat16))
    w = quantise_rows(torch.randn(out, wide, device="cuda"))
    bias = torch.randn(out, device="cuda", dtype=torch.bfloat16)
    exact = F.linear(x.codes.double() * x.scale, w.codes.double() * w.scale) + bias.double()
    return x, w, bias, exact


def test_one_product_of_three_linears_and_one_trip_of_a_feed_forward() -> None:
    layers = [nn.Linear(256, 256, device="cuda", dtype=torch.bfloat16) for _ in range(3)]
    x = torch.randn(50, 256, device="cuda", dtype=torch.bfloat16)
    before = [layer(x) for layer in layers]
    assert len({out.untyped_storage().data_ptr() for out in project(x, layers)}) == 3
    lay_side_by_side(layers)
    outs = project(x, layers)
    assert len({out.untyped_storage().data_ptr() for out in outs}) == 1
    assert all(relative(a, b) < 5e-3 for a, b in zip(outs, before, strict=True))
    up, down = nn.Linear(256, 512), nn.Linear(512, 256)
    exact = down.double()(F.gelu(up.double()(x.double().cpu()), approximate="tanh"))
    for layer in (up, down):
        layer.to("cuda", torch.bfloat16)
    assert relative(feed_forward(x, up, down), exact.cuda()) < 1e-2


def test_weights_made_fp8_and_joined_take_their_own_bytes_and_no_more() -> None:
    model = nn.Module()
    model.layers = [nn.Linear(1024, 1024, device="cuda", dtype=torch.bfloat16) for _ in range(3)]
    for i, layer in enumerate(model.layers):
        model.add_module(f"l{i}", layer)
    before = torch.cuda.memory_allocated()
    del layer, model.layers
    use_fp8(model, "cuda", re.compile(r"l\d"))
    lay_side_by_side(list(model.children()))
    took = torch.cuda.memory_allocated() - before
    assert took == 3 * 1024 * (4 - 1024)  # a byte less for each value, a scale more for each row


def test_requantised_rows() -> None:
    """Bit for bit the twin's codes and scales; sums within float32."""
    for count, width in shapes():
        x = torch.randn(count, width, device="cuda") * random.choice([1e-3, 1, 300])
        x[random.randrange(count)] *= random.choice([0, 1])
        got = Requantised(*(tensor.cpu() for tensor in requantise_rows(x)))
        wanted = requantise_rows_twin(x.cpu())  # PyTorch's own division by a number is not exact on a GPU
        assert torch.equal(got.codes.view(torch.uint8), wanted.codes.view(torch.uint8))
        assert torch.equal(got.scale, wanted.scale)
        torch.testing.assert_close(got.errors[:, [0, 3]], wanted.errors[:, [0, 3]], rtol=1e-6, atol=0)
        torch.testing.assert_close(got.errors, wanted.errors, rtol=1e-5, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_rank(dtype: torch.dtype) -> None:
    for count, columns in (*shapes(), (300, 5120), (257, 13824)):
        out, h, up, scales = branch(dtype, count, columns, 16 * random.randint(1, 12))
        wanted = with_branch(out, h, up, scales)
        OPERATOR(out, h, up, scales)
        assert close(out, wanted)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_rank_in_products(dtype: torch.dtype) -> None:
    for count, columns in shapes(3):
        out, h, up, scales = branch(dtype, count, columns, random.randint(1, 70))
        wanted = with_branch(out, h, up, scales)
        assert relative(add_low_rank_twin(out, h, up, scales), wanted) < 4 * torch.finfo(dtype).eps


def branch(dtype: torch.dtype, count: int, columns: int, rank: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    out, h = rows(count, columns, dtype), rows(count, rank, dtype)
    return out, h, torch.randn(columns, rank, device="cuda").to(dtype), torch.randn(rank, device="cuda")


def with_branch(out: Tensor, h: Tensor, up: Tensor, scales: Tensor) -> Tensor:
    return out.double() + (h * scales).to(h.dtype).double() @ up.double().mT
