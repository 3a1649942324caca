"""Bearer tokens: shown once, kept as hashes."""

from __future__ import annotations

import hashlib
import os
import secrets
from contextvars import ContextVar
from pathlib import Path

from google.rpc import code_pb2

from wancore_server.clock import now_ns
from wancore_server.errors import ApiError
from wancore_server.store import Caller, Store

SCOPES = frozenset({"read", "generate", "assets", "admin"})
LOCAL = "local"  # the caller that the first start makes

current_caller: ContextVar[Caller] = ContextVar("current_caller")


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def first_token(store: Store, path: Path) -> None:
    """Makes the token of the first start, readable by the owner only."""
    if path.exists() and await store.caller(digest(path.read_text().strip())) is not None:
        return
    token = secrets.token_urlsafe(32)
    partial = path.with_name(path.name + ".new")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(token + "\n")
    await store.put_caller(Caller(LOCAL, SCOPES), digest(token))
    partial.replace(path)


class Tokens:
    """Finds the caller of a token. The look-up is by hash, so its time tells nothing of the token."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def caller(self, header: str | None) -> Caller:
        """`header`: the value of `authorization`. Raises `TOKEN_MISSING`."""
        kind, _, token = (header or "").partition(" ")
        caller = None
        if kind.lower() == "bearer" and token:
            caller = await self.store.caller(digest(token.strip()))
        if caller is None or (caller.expire is not None and caller.expire <= now_ns()):
            text = "send the metadata `authorization: Bearer TOKEN` with a valid token"
            raise ApiError(code_pb2.UNAUTHENTICATED, "TOKEN_MISSING", text)
        return caller


def require_scope(caller: Caller, scope: str) -> None:
    """Raises `SCOPE_MISSING`."""
    if scope not in caller.scopes:
        text = f"this token lacks the scope {scope!r}"
        raise ApiError(code_pb2.PERMISSION_DENIED, "SCOPE_MISSING", text, {"scope": scope})
