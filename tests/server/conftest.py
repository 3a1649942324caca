"""One server, for each process that runs tests, for those that leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from wancore_client import Client

from tests.server.harness import Server, running

HERE = Path(__file__).parent


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Client]]:
    with running(tmp_path_factory.mktemp("server")) as pair:
        yield pair


@pytest.fixture(scope="module")
def server(shared: tuple[Server, Client]) -> Server:
    return shared[0]


@pytest.fixture(scope="module")
def client(shared: tuple[Server, Client]) -> Client:
    return shared[1]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Processes with clocks scaled down to fractions of a second: a machine that stalls gets another try,
    unless `--reruns` says how many."""
    if config.getoption("reruns", None) is not None:
        return
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=2))
