"""From a budget to a layout of weights."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wancore.errors import MemoryShortage
from wancore.runtime.amounts import parse_amount
from wancore.runtime.budget import OVERHEAD, Budget, Needs, plan_memory

GB = 10**9
A14B = Needs((703_000_000,) * 40, 480_000_000, 4_200_000_000)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("16GB", (16e9, False)),
        ("16", (16e9, False)),
        (" 14.5 gib ", (14.5 * 2**30, False)),
        ("500MB", (5e8, False)),
        ("80%", (0.8, True)),
    ],
)
def test_amounts(text, wanted):
    assert parse_amount(text) == pytest.approx(wanted)


@pytest.mark.parametrize("text", ["", "lots", "-3GB", "0GB", "120%", "0%", "16 GB please", "1e9", "nanGB"])
def test_what_is_no_amount(text):
    with pytest.raises(ValueError, match="such as 16GB"):
        parse_amount(text)


def test_a_share_is_of_the_whole_device_and_the_default_is_what_is_free():
    assert Budget.of("50%", 80 * GB, 10 * GB).nbytes == 40 * GB
    assert Budget.of(None, 80 * GB, 10 * GB) == Budget(10 * GB, "what is free")


@pytest.mark.parametrize(
    ("gigabytes", "resident", "slots"), [(80, 40, 0), (34, 40, 0), (30, 33, 2), (10, 4, 2), (6.1, 0, 1)]
)
def test_the_14b_model(gigabytes, resident, slots):
    plan = plan_memory(A14B, Budget.of(f"{gigabytes}GB", 80 * GB, 80 * GB))
    assert (plan.resident, plan.slots) == (resident, slots)
    assert plan.device_bytes <= gigabytes * GB - OVERHEAD
    words = "all weights on the device" if resident == 40 else f"{40 - resident} of 40 blocks in host memory"
    assert words in plan.describe()


def test_rare_parts_leave_first():
    """The 14B model in fp8 within 18 GB: every block stays, only what makes keys of text is away."""
    needs = Needs((299_000_000,) * 40, 480_000_000, 4_200_000_000, (105_000_000,) * 40)
    plan = plan_memory(needs, Budget(18 * GB, "vram = 18GB"))
    assert (plan.resident, plan.swapped, plan.rare, plan.whole) == (40, 0, False, False)
    assert plan.host_bytes == 4_200_000_000 and plan.device_bytes <= 18 * GB - OVERHEAD
    assert "what makes keys of text in host memory (4.2 GB)" in plan.describe()
    assert plan_memory(needs, Budget(24 * GB, "")).whole


def test_what_does_not_fit_is_said_with_numbers_and_a_way_out():
    with pytest.raises(MemoryShortage) as caught:
        plan_memory(A14B, Budget(4 * GB, "vram = 4GB"))
    error = caught.value
    assert error.needed == A14B.least + OVERHEAD and error.free == 4 * GB
    assert "6.1 GB are needed, 4.0 GB may be used" in str(error)
    assert "6.1 GB of memory, or 50 % of the tokens" in error.would_fit


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=12),
    st.integers(0, 20),
    st.integers(0, 20),
    st.integers(1, 200),
)
def test_a_plan_keeps_as_much_as_fits(blocks, rest, working, budget):
    needs = Needs(tuple(blocks), rest, working)
    try:
        plan = plan_memory(needs, Budget(OVERHEAD + budget, ""))
    except MemoryShortage:
        assert needs.least > budget
        return
    assert plan.device_bytes <= budget
    assert plan.device_bytes + plan.host_bytes >= sum(blocks) + rest + working
    if plan.swapped and plan.slots == 2:
        assert needs.with_resident(plan.resident + 1, 2 if plan.swapped > 1 else 0) > budget
