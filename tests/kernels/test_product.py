"""Products that carry a low-rank branch, against float64: the twin anywhere, the kernel on a Hopper GPU."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.kernels.compare import close
from wancore.kernels.activation import quantise_rows
from wancore.kernels.codes import Codes
from wancore.kernels.product import Factors, on_hopper, product, product_twin, suits

needs_hopper = pytest.mark.skipif(
    not torch.cuda.is_available() or not on_hopper(0), reason="needs a Hopper GPU"
)
CPU, GPU = torch.device("cpu"), torch.device("cuda")
SUMS = {False: 2e-5, True: 1e-2}  # of tensor cores, which cut bits off: for e4m3 all beyond the 14th
SIZES = [
    *((1, 16, 16), (129, 48, 272), (300, 992, 1040)),
    *((1025, 5120, 5136), (90001, 48, 48), (4400, 13824, 1024)),
]


class Case:
    """Random rows [count, depth], a weight [out, depth], its bias, a branch of `rank`; and their product."""

    def __init__(self, device: torch.device, count: int, depth: int, out: int, rank: int, fp8: bool) -> None:
        def random(*shape: int) -> Tensor:
            return torch.randn(shape, device=device).bfloat16()

        x, weight = random(count, depth), random(out, depth)
        self.bias = random(out)
        self.branch = Factors(random(count, rank), random(out, rank)) if rank else None
        self.x: Tensor | Codes
        if fp8:
            codes = quantise_rows(weight)
            self.x, self.weight, self.scale = quantise_rows(x), codes.codes, codes.scale
            x, weight = self.x.codes.double() * self.x.scale, self.weight.double() * self.scale
        else:
            self.x, self.weight, self.scale = x, weight, None
        self.exact = F.linear(x.double(), weight.double())
        if self.branch is not None:
            self.exact += F.linear(self.branch.h.double(), self.branch.up.double())

    def wanted(self, bias: bool, gelu: bool) -> Tensor:
        whole = self.exact + self.bias.double() if bias else self.exact
        return F.gelu(whole, approximate="tanh") if gelu else whole


@given(
    st.tuples(*3 * [st.integers(1, 40)]), st.integers(0, 20), st.booleans(), st.booleans(), st.booleans(),
    st.integers(0, 2**32),
)  # fmt: skip
def test_twin(sizes: tuple[int, int, int], rank: int, fp8: bool, bias: bool, gelu: bool, seed: int) -> None:
    torch.manual_seed(seed)
    case = Case(CPU, *sizes, rank, fp8)
    given_bias = case.bias if bias else None
    got = product_twin(case.x, case.weight, case.scale, given_bias, case.branch, gelu=gelu)
    assert got.dtype == torch.bfloat16 and close(got, case.wanted(bias, gelu))
    assert not suits(case.x, case.weight, rank)


@needs_hopper
@pytest.mark.parametrize("rank", [0, 8, 64, 72, 192])
@pytest.mark.parametrize("fp8", [False, True])
def test_kernel(fp8: bool, rank: int) -> None:
    torch.manual_seed(rank)
    for count, depth, out in SIZES:
        case = Case(GPU, count, depth, out, rank, fp8)
        for bias, gelu in [(True, False), (False, False)] + [(True, True)] * (not fp8):
            given_bias = case.bias if bias else None
            got = product(case.x, case.weight, case.scale, given_bias, case.branch, gelu=gelu)
            wanted = case.wanted(bias, gelu)
            assert close(got, wanted, SUMS[fp8])


@needs_hopper
def test_what_suits() -> None:
    case = Case(GPU, 4400, 48, 1024, 0, fp8=True)
    assert isinstance(case.x, Codes)
    assert suits(case.x, case.weight) and suits(case.x, case.weight, 64)
    assert not suits(case.x[:513], case.weight)  # too little work
    assert not suits(case.x, case.weight, 12)
    shifted = torch.zeros(case.weight.numel() + 1, device=GPU).to(case.weight.dtype)[1:]
    assert not suits(case.x, shifted.view_as(case.weight))
    assert not suits(case.x, case.weight.bfloat16())
    plain = Case(GPU, 4400, 44, 1024, 0, fp8=False)
    assert not suits(plain.x, plain.weight)
    assert suits(plain.x[:, :40].contiguous(), plain.weight[:, :40].contiguous())
