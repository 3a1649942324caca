"""Golden cases: reference outputs that our real code must reproduce."""

from wancore.parity.case import Case
from wancore.parity.kind import Kind, Result

__all__ = ["Case", "Kind", "Result"]
