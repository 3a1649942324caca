"""Golden-case kinds of this component."""

from __future__ import annotations

from wancore.parity.kind import Kind

KINDS: tuple[Kind, ...] = ()
