"""Fault 33: tokens, scopes, other callers."""

from __future__ import annotations

import subprocess
import sys

import pytest
from wancore_client import Client, NotAuthorised, NotFound

from tests.server.harness import Server
from tests.server.rawcalls import METHODS, raw_call
from tests.server.sessions.lines import Line


def new_token(server: Server, name: str, *options: str) -> str:
    command = [sys.executable, "-m", "wancore_server", "token", name, "--data", str(server.data), *options]
    made = subprocess.run(command, capture_output=True, text=True, check=True, env=server.environment())
    return made.stdout.strip()


@pytest.mark.parametrize("token", ["", "wrong", "é" * 3, "x" * 2000])
def test_without_a_token_nothing_is_told(server: Server, token: str) -> None:
    """Fault 33, on loopback too."""
    with (
        server.client(token=token.encode("ascii", "ignore").decode()) as client,
        pytest.raises(NotAuthorised) as caught,
    ):
        client.server_info()
    assert caught.value.reason == "TOKEN_MISSING"


def test_every_method_wants_a_token(client: Client) -> None:
    for method in METHODS:
        path = f"/{method.containing_service.full_name}/{method.name}"
        with pytest.raises(NotAuthorised):
            raw_call(client, path, b"", metadata=(), stream=method.server_streaming)


def test_the_token_file_is_private(server: Server) -> None:
    assert (server.data / "token").stat().st_mode & 0o777 == 0o600
    assert server.token not in (server.data / "store.db").read_bytes().decode("latin-1")
    assert server.token not in server.log.read_text()


def test_callers_see_only_their_own(server: Server, client: Client) -> None:
    """Fault 33."""
    job = client.create(family="faulty", frames=1)
    client.watch(job.name).wait()
    with server.client(token=new_token(server, "guest")) as guest:
        assert list(guest.jobs()) == []
        for call in (guest.job, guest.cancel, guest.delete):
            with pytest.raises(NotFound):
                call(job.name)
        with pytest.raises(NotFound):
            guest.watch(job.name).wait()
        with pytest.raises(NotFound):
            list(guest.read_artifact(f"{job.name}/artifacts/0"))


def test_a_session_is_its_caller_s_own(server: Server, client: Client) -> None:
    """Fault 33."""
    stranger = server.client(token=new_token(server, "stranger"))
    with stranger, client.session(family="faulty") as live:
        for call in (stranger.get_session, stranger.end_session):
            with pytest.raises(NotFound):
                call(live.name)
        assert Line(stranger, live.name).refused().reason == "NOT_FOUND"


def test_scopes_and_expiry(server: Server) -> None:
    """Fault 33: a token that may only read; one whose time is over."""
    with server.client(token=new_token(server, "reader", "--scope", "read")) as reader:
        reader.families()
        with pytest.raises(NotAuthorised) as caught:
            reader.create(family="faulty")
        assert caught.value.reason == "SCOPE_MISSING" and caught.value.metadata["scope"] == "generate"
        with pytest.raises(NotAuthorised):
            reader.session(family="faulty")
    with server.client(token=new_token(server, "late", "--days", "0")) as late, pytest.raises(NotAuthorised):
        late.families()
