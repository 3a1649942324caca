"""Where the server is, and how it is called."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import grpc

DEFAULT_ADDRESS = "127.0.0.1:50700"
UNARY_S = 10.0
SILENCE_S = 15.0  # a stream that says nothing for longer is broken: the server sends heartbeats
VERSION = "0.1.0"
READS = {
    "wancore.v1.JobService": ("GetJob", "ListJobs", "CancelJob", "CreateJob"),
    "wancore.v1alpha.SessionService": ("GetSession", "EndSession"),
    "wancore.v1.AssetService": ("CheckAssets", "GetUpload", "GetAsset"),
    "wancore.v1.CatalogService": (
        "GetServerInfo",
        "ListFamilies",
        "GetFamily",
        "ListModels",
        "ListLoras",
        "ListPlugins",
    ),
}


def state_folder() -> Path:
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "wancore"


def default_token() -> str:
    """`WANCORE_TOKEN`, else the token of a server on this machine, else ''."""
    token = os.environ.get("WANCORE_TOKEN", "")
    path = state_folder() / "token"
    return token or (path.read_text().strip() if path.exists() else "")


@dataclass(frozen=True)
class Connection:
    """How to reach a server. `root_certificates`: PEM, for TLS with roots of one's own; `tls` for TLS at all.

    `patience_s`: how long a broken stream is tried again without a message.
    """

    address: str
    token: str
    tls: bool = False
    root_certificates: bytes | None = None
    keepalive_s: float = 20.0
    silence_s: float = SILENCE_S
    patience_s: float = 60.0

    def channel(self) -> grpc.Channel:
        options = [
            ("grpc.service_config", service_config()),
            ("grpc.enable_retries", 1),
            ("grpc.keepalive_time_ms", int(self.keepalive_s * 1000)),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.http2.max_pings_without_data", 0),
            ("grpc.max_receive_message_length", 4 * 2**20),
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.max_reconnect_backoff_ms", 5000),
            ("grpc.use_local_subchannel_pool", 1),  # streams and calls on connections of their own
            ("grpc.primary_user_agent", f"wancore-client/{VERSION}"),
        ]
        if not (self.tls or self.root_certificates):
            return grpc.insecure_channel(self.address, options)
        return grpc.secure_channel(
            self.address, grpc.ssl_channel_credentials(self.root_certificates), options
        )

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token}"), ("wancore-client", f"python/{VERSION}"))


def connection(
    address: str | None = None, token: str | None = None, root_certificates: bytes | None = None,
    tls: bool = False, **others: float,
) -> Connection:  # fmt: skip
    """What is not given comes from `WANCORE_ADDRESS`, `WANCORE_TOKEN` or the server on this machine."""
    where = address or os.environ.get("WANCORE_ADDRESS") or DEFAULT_ADDRESS
    secret = token if token is not None else default_token()
    return Connection(where, secret, tls, root_certificates, **others)


def service_config() -> str:
    """Retries of calls that may be repeated; streams are resumed by this package instead."""
    names = [{"service": service, "method": m} for service, methods in READS.items() for m in methods]
    policy = {
        "maxAttempts": 4,
        "initialBackoff": "0.2s",
        "maxBackoff": "5s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return json.dumps({"methodConfig": [{"name": names, "retryPolicy": policy}]})
