"""The user's choice, the automatic one, and what is said where neither works."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wancore.errors import InvalidInput
from wancore.kernels.attention import Attention, for_role, grouped, sdpa, use
from wancore.kernels.attention.backend import FP32, Backend
from wancore.kernels.attention.choice import BACKENDS, parse_choice
from wancore.kernels.attention.pytorch import grouped_sdpa
from wancore.kernels.attention.selftest import reference, relative

CPU = torch.device("cpu")


@dataclass
class Recording:
    """A CPU backend that counts its calls, and may be wrong by a factor."""

    calls: list = field(default_factory=list)
    factor: float = 1.0

    def run(self, q, k, v, lengths):
        self.calls.append(lengths)
        return grouped_sdpa(q, k, v, lengths) * self.factor

    def backend(self, name="mine", **declared) -> Backend:
        return Backend(name, "a test", lambda: self.run, devices=("cpu",), dtypes=(FP32,), **declared)


def rows(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def missing() -> Backend:
    def load():
        raise ImportError("No module named 'gone'")

    return Backend("gone", "", load, devices=("cpu",), dtypes=(FP32,))


def test_on_a_cpu_the_automatic_choice_is_that_of_pytorch():
    q, k, v = rows(6, 2, 8), rows(9, 2, 8, seed=1), rows(9, 2, 8, seed=2)
    assert torch.equal(Attention()(q, k, v), sdpa(q, k, v))
    assert Attention().settle("self", CPU, FP32, 8).backend.name == "sdpa"


def test_a_faster_backend_goes_first_and_its_error_is_measured():
    mine = Recording()
    attention = Attention(backends=(*BACKENDS, mine.backend(rank=1)))
    q = rows(5, 2, 16)
    assert torch.equal(attention(q, q, q), sdpa(q, q, q))
    assert len(mine.calls) == 2  # the self-test and the call
    attention(q, q, q)
    assert len(mine.calls) == 3


def test_a_wrong_backend_is_left_out_unless_it_was_asked_for(caplog):
    wrong = Recording(factor=1.5).backend("wrong", rank=1)
    attention = Attention(backends=(*BACKENDS, wrong))
    assert attention.settle("self", CPU, FP32, 16).backend.name == "sdpa"
    assert "relative error of 0.5" in caplog.text
    with pytest.raises(InvalidInput, match=r"attention: got 'wrong'.*relative error of 0\.5"):
        Attention("wrong", (*BACKENDS, wrong)).settle("self", CPU, FP32, 16)


def test_a_backend_for_one_role_leaves_the_others_alone():
    mine = Recording()
    attention = Attention("text=mine", (*BACKENDS, mine.backend()))
    q = rows(5, 2, 16)
    attention(q, q, q)
    assert not mine.calls
    for_role(attention, "text")(q, q, q)
    assert len(mine.calls) == 2
    assert for_role(sdpa, "text") is sdpa


def test_a_lossy_backend_named_without_a_role_is_for_self_attention_alone():
    lossy = Recording(factor=1.05).backend("lossy", exact=False, tolerance=0.1)
    attention = Attention("lossy", (*BACKENDS, lossy))
    names = {role: attention.settle(role, CPU, FP32, 16).backend.name for role in ("self", "text", "grouped")}
    assert names == {"self": "lossy", "text": "sdpa", "grouped": "sdpa"}
    assert Attention("text=lossy", (*BACKENDS, lossy)).settle("text", CPU, FP32, 16).backend.name == "lossy"


def test_in_other_roles_an_exact_backend_serves_what_it_can():
    exact = Recording().backend("exact")
    attention = Attention("exact", (*BACKENDS, exact))
    assert attention.settle("grouped", CPU, FP32, 16).backend.name == "exact"
    assert attention.settle("grouped", CPU, FP32, 16, varlen=True).backend.name == "sdpa"


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("flash4", "attention: got 'flash4'; accepted: auto, or one of: fa3, "),
        ("self=flash4", "attention.self: got 'flash4'"),
        ("dreaming=sdpa", "the roles self, text, image, grouped, vae"),
        ("sdpa,math", "one backend for each role"),
    ],
)
def test_choices_that_make_no_sense(choice, words):
    with pytest.raises(InvalidInput, match=words.replace("[", r"\[")):
        Attention(choice)


@pytest.mark.parametrize("name", ["gone", "flash"])
def test_what_is_not_usable_is_said_with_the_reason_and_with_what_is(name):
    attention = Attention(name, (*BACKENDS, missing()))
    with pytest.raises(InvalidInput) as caught:
        attention.check(CPU)
    text = str(caught.value)
    assert "accepted: auto, math, sdpa (" in text
    assert "gone (No module named 'gone')" in text and "fa3 (runs on cuda, not on cpu)" in text


def test_a_choice_that_cannot_serve_the_model_is_refused_when_it_is_settled():
    narrow = Recording().backend("narrow", head_dims=(8, 64))
    attention = Attention("narrow", (*BACKENDS, narrow))
    attention.check(CPU)
    with pytest.raises(InvalidInput, match=r"takes heads of up to 64.*128 wide.*accepted|accepted.*up to 64"):
        attention.settle("self", CPU, FP32, 128)


def test_parsing():
    assert parse_choice("auto") == {} and parse_choice("") == {}
    assert parse_choice("fa3, text = sdpa".replace(" = ", "=")) == {None: "fa3", "text": "sdpa"}
    assert parse_choice("fa3,vae=auto") == {None: "fa3"}


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["math", "sdpa"]),
    st.integers(1, 3),
    st.integers(1, 6),
    st.integers(1, 7),
    st.booleans(),
    st.integers(0, 99),
)
def test_groups_agree_with_float64(name, groups, s, m, varlen, seed):
    q, k, v = (rows(groups, n, 2, 8, seed=seed + i) for i, n in enumerate((s, m, m)))
    lengths = (
        torch.randint(0, m + 1, (groups,), generator=torch.Generator().manual_seed(seed)) if varlen else None
    )
    out = Attention(name).groups("grouped", q, k, v, lengths)
    for g in range(groups):
        n = m if lengths is None else int(lengths[g])
        if n == 0:
            assert not out[g].any()
        else:
            assert (
                relative(out[g : g + 1], reference(q[g : g + 1], k[g : g + 1, :n], v[g : g + 1, :n])) < 1e-5
            )


def test_grouped_uses_what_the_engine_put_in_use():
    mine = Recording()
    q = rows(2, 3, 2, 8)
    wanted = grouped(q, q, q)
    use(Attention("grouped=mine", (*BACKENDS, mine.backend())))
    try:
        assert torch.equal(grouped(q, q, q), wanted)
        assert len(mine.calls) == 2
    finally:
        use(Attention())


def test_gradients_go_through_pytorch():
    mine = Recording()
    q = rows(4, 2, 8).requires_grad_()
    Attention("mine", (*BACKENDS, mine.backend()))(q, q, q).sum().backward()
    assert q.grad is not None and not mine.calls


def test_it_compiles_without_a_break():
    attention = Attention()
    q = rows(5, 2, 16)
    wanted = attention(q, q, q)
    for_role(attention, "text")(q, q, q)

    def block(q):
        return attention(q, q, q) + for_role(attention, "text")(q, q, q)

    torch.testing.assert_close(torch.compile(block, backend="eager", fullgraph=True)(q), 2 * wanted)
