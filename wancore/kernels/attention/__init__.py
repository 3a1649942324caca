"""Softmax attention over rows, by the best backend that is there: `attend(q, k, v)` and `grouped`.

Scale is 1 / sqrt(d); nothing is masked but the keys past a group's length.
"""

from wancore.kernels.attention.backend import Attend, Backend, Role
from wancore.kernels.attention.choice import Attention, for_role, grouped, use
from wancore.kernels.attention.pytorch import sdpa

__all__ = ["Attend", "Attention", "Backend", "Role", "for_role", "grouped", "sdpa", "use"]
