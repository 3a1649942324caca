"""One server for the sessions that leave it as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from wancore_client import Client

from tests.server.harness import Server, eventually, running
from tests.server.sessions.lines import SHORT, Line


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Client]]:
    with running(tmp_path_factory.mktemp("sessions"), **SHORT) as pair:
        yield pair


@pytest.fixture(autouse=True)
def nothing_is_left(server: Server, client: Client) -> Iterator[None]:
    yield
    eventually(lambda: not list((server.data / "scratch").glob("session-*")))
    assert client.generate(family="steady", frames=1).wait().frame_count == 1


@pytest.fixture
def line(client: Client) -> Iterator[Callable[..., Line]]:
    made: list[tuple[str, Line]] = []

    def join(name: str, **header: Any) -> Line:
        made.append((name, Line(client, name, **header)))
        return made[-1][1]

    yield join
    for name, each in made:
        each.call.cancel()
        client.end_session(name)
