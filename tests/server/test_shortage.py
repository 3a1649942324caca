"""Memory that a request does not fit into, as clients see it."""

from __future__ import annotations

from google.rpc import code_pb2
from wancore_server.worker.failures import api_error

from wancore.errors import MemoryShortage


def test_what_is_needed_free_and_what_would_fit() -> None:
    error = api_error(MemoryShortage(12_000_000_000, 10_000_000_000, "weights in fp8"), "", "", "{}")
    assert (error.code, error.reason) == (code_pb2.RESOURCE_EXHAUSTED, "GPU_OUT_OF_MEMORY")
    assert error.metadata == {
        "needed_bytes": "12000000000", "free_bytes": "10000000000", "would_fit": "weights in fp8",
    }  # fmt: skip
    unknown = api_error(MemoryShortage(None, None, "fewer frames"), "", "", "{}")
    assert unknown.metadata == {"would_fit": "fewer frames"}
