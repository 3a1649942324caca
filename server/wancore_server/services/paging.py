"""Page sizes and tokens."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar

from wancore_server.errors import invalid_field

T = TypeVar("T")
DEFAULT, MOST = 50, 1000


def page_size(asked: int) -> int:
    """Raises `ApiError` above `MOST`."""
    if asked > MOST:
        raise invalid_field("page_size", f"1 to {MOST}, or 0 for {DEFAULT}")
    return asked or DEFAULT


def encode_token(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def decode_token(token: str) -> str:
    """Raises `ApiError` for what is not a token of ours."""
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError):
        raise invalid_field("page_token", "must come from the page before") from None


def page_of(items: Sequence[T], size: int, token: str) -> tuple[Sequence[T], str]:
    """A page of a list that does not change, and the token of the next one."""
    text = decode_token(token) if token else "0"
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise invalid_field("page_token", "must come from the page before")
    start, count = int(text), page_size(size)
    after = start + count
    return items[start:after], encode_token(str(after)) if after < len(items) else ""
