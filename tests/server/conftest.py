"""One server for the tests that leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from wancore_client import Client

from tests.server.harness import Server, running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Client]]:
    with running(tmp_path_factory.mktemp("server")) as pair:
        yield pair


@pytest.fixture(scope="module")
def server(shared: tuple[Server, Client]) -> Server:
    return shared[0]


@pytest.fixture(scope="module")
def client(shared: tuple[Server, Client]) -> Client:
    return shared[1]
