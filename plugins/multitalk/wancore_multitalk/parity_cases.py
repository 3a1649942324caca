"""Golden cases of whole videos."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from wancore_talking.parity_loop import video

from wancore.parity import Case
from wancore_multitalk.family import MultiTalk


def window_loop(case: Case) -> Mapping[str, Tensor]:
    return {"video": video(case, MultiTalk())}
