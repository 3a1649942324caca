"""The two ends of a stream, as processes of their own, for `benchmarks.streaming`.

    python -m benchmarks.bare_stream serve MESSAGE_BYTES COUNT   a grpc.aio server that sends the same bytes
    python -m benchmarks.bare_stream read ADDRESS                reads them
    python -m benchmarks.bare_stream watch ADDRESS JOB           reads a job's frames with the client library

`serve` prints its address. Readers print `ready`, wait for a line, and print what it took as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import grpc

METHOD = "/bare.Stream/Read"


async def serve(size: int, count: int) -> None:
    message = os.urandom(size)

    async def read(request: bytes, context: grpc.aio.ServicerContext) -> None:
        for _ in range(count):
            await context.write(message)

    service, _, method = METHOD[1:].partition("/")
    handlers = {method: grpc.unary_stream_rpc_method_handler(read)}
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


def bare(address: str) -> Iterator[bytes]:
    with grpc.insecure_channel(address) as channel:
        yield from channel.unary_stream(METHOD)(b"")


def frames(address: str, job: str) -> Iterator[bytes]:
    from wancore_client import Client

    with Client(address) as client:
        for frame in client.watch(job, from_frame=0).frames():
            yield frame.data


def measured(messages: Iterator[bytes]) -> dict[str, Any]:
    """Times of the monotonic clock, which all processes share; processor time of this process."""
    begun, processor, size, count = time.monotonic(), time.process_time(), 0, 0
    for message in messages:
        size += len(message)
        count += 1
    return {
        "begun": begun,
        "ended": time.monotonic(),
        "processor": time.process_time() - processor,
        "bytes": size,
        "count": count,
    }


def main() -> None:
    role, *rest = sys.argv[1:]
    if role == "serve":
        asyncio.run(serve(int(rest[0]), int(rest[1])))
        return
    messages = bare(rest[0]) if role == "read" else frames(rest[0], rest[1])
    if role == "watch":
        import wancore_client  # noqa: F401  (imported before the clock runs)
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(measured(messages)), flush=True)


if __name__ == "__main__":
    main()
