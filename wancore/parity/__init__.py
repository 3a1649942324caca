"""Golden cases: reference outputs that our real code must reproduce.

`Case` is resolved on first use: declaring kinds costs neither numpy nor torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wancore.parity.kind import Kind, Result

if TYPE_CHECKING:
    from wancore.parity.case import Case

__all__ = ["Case", "Kind", "Result"]


def __getattr__(name: str) -> Any:
    if name != "Case":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from wancore.parity.case import Case

    return Case
