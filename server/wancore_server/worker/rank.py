"""The ranks of a gang beyond the first: they compute with it, and die with it."""

from __future__ import annotations

import threading

from wancore_server.wire import wire_pb2
from wancore_server.worker.link import Link


def follow(link: Link) -> None:
    """Says that it is there, and stays until the gateway ends it."""
    link.be_patient(False)
    link.send(ready=wire_pb2.Ready(device="rank"))
    threading.Event().wait()
