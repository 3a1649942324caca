"""Random window plans."""

from hypothesis import assume
from hypothesis import strategies as st

from wancore.errors import InvalidInput
from wancore.sampling.windows import WindowPlan

SCHEDULES = ("static_standard", "uniform_standard", "uniform_looped")


@st.composite
def plans(draw):
    size = draw(st.integers(1, 21))
    return WindowPlan(
        draw(st.sampled_from(SCHEDULES)),
        size,
        draw(st.integers(0, size - 1)),
        draw(st.integers(1, 4)),
        draw(st.sampled_from(("linear", "pyramid"))),
    )


def windows_or_reject(plan, step, frames):
    try:
        return plan.at(step, frames)
    except InvalidInput as error:
        assert error.field == "windows.stride"
        assume(False)
