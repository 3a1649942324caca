"""Faults 31 and 34: connections that do not keep to HTTP/2, and web pages."""

from __future__ import annotations

import http.client
import socket
import threading
import time

import pytest
from wancore_client import Client

from tests.server.harness import Server

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


def frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


def connected(server: Server) -> socket.socket:
    host, _, port = server.address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=5)


@pytest.mark.parametrize("abuse", ["resets", "pings", "headers", "slow", "garbage"])
def test_raw_abuse_leaves_others_served(server: Server, client: Client, abuse: str) -> None:
    """Fault 31."""
    body = {
        "resets": b"".join(
            frame(1, 4, i, b"\x82\x86\x84") + frame(3, 0, i, b"\0\0\0\x08") for i in range(1, 4000, 2)
        ),
        "pings": frame(6, 0, 0, bytes(8)) * 20_000,
        "headers": frame(1, 0, 1, b"\x82") + frame(9, 0, 1, b"\x00\x01a\x7f\xe1\x07" + b"b" * 4000) * 200,
        "slow": b"",
        "garbage": bytes(range(256)) * 400,
    }[abuse]
    connections = [connected(server) for _ in range(50 if abuse == "slow" else 2)]
    stop = threading.Event()

    def attack(connection: socket.socket) -> None:
        try:
            connection.sendall((b"" if abuse == "garbage" else PREFACE) + body)
            while not stop.wait(0.05) and connection.recv(65536):
                pass
        except OSError:
            pass

    threads = [threading.Thread(target=attack, args=(c,), daemon=True) for c in connections]
    for thread in threads:
        thread.start()
    started = time.monotonic()
    assert client.generate(family="faulty", frames=3).wait().frame_count == 3
    assert time.monotonic() - started < 10
    stop.set()
    for connection in connections:
        connection.close()


def test_a_web_page_gets_nothing(server: Server) -> None:
    """Fault 34, without a browser listener: plain HTTP is no way in, and says nothing of other origins."""
    host, _, port = server.address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=5)
    with pytest.raises((http.client.HTTPException, OSError)):
        connection.request(
            "POST", "/wancore.v1.CatalogService/GetServerInfo", headers={"Origin": "http://evil"}
        )
        response = connection.getresponse()
        assert response.status >= 400 and "access-control-allow-origin" not in response.headers
        raise http.client.HTTPException
