"""Around every call: who calls, may they, how it ended. No exception leaves without a proper status."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from google.rpc import code_pb2
from grpc_status import rpc_status

from wancore_server.errors import ApiError, exhausted, invalid_field, limit_exceeded, unavailable
from wancore_server.metrics import Metrics
from wancore_server.security.tokens import Tokens, current_caller, require_scope
from wancore_server.services.context import Context
from wancore_server.store import StoreBusy, StoreLost
from wancore_server.tracing import Trace, current_trace, read_trace

log = logging.getLogger(__name__)
#: Method -> scope, where it is not that of the service.
SCOPES = {
    "JobService": "read",
    "JobService/CreateJob": "generate",
    "JobService/Generate": "generate",
    "JobService/CancelJob": "generate",
    "JobService/DeleteJob": "generate",
    "AssetService": "assets",
    "CatalogService": "read",
    "AdminService": "admin",
    "SessionService": "generate",
}
PREFIXES = ("/wancore.v1.", "/wancore.v1alpha.")
HEALTH = "/grpc.health.v1.Health/"  # needs no token, as reflection does not: neither tells of callers
CALLS_PER_VIEWER = 4  # calls at once, of all kinds, as a multiple of `max_viewers`
REQUEST_BYTES = 256 * 1024  # of a message without file bytes: decoding more holds up the event loop
WITH_DATA = "AssetService/UploadAsset"
#: Tells gRPC's own retries that another try now would only wait as long again.
NO_RETRY = ("grpc-retry-pushback-ms", "-1")

Handler = Callable[[Any, Context], Awaitable[Any]]
Decode = Callable[[bytes], Any]


class Guard(grpc.aio.ServerInterceptor):
    """The one interceptor."""

    def __init__(self, tokens: Tokens, metrics: Metrics, max_calls: int) -> None:
        self.tokens, self.metrics, self.max_calls = tokens, metrics, max_calls
        self.calls = 0

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        details: grpc.HandlerCallDetails,
    ) -> Any:
        handler: Any = await continuation(details)
        method: str = details.method
        if handler is None or not method.startswith((*PREFIXES, HEALTH)):
            return handler
        name = method.removeprefix(PREFIXES[0]).removeprefix(PREFIXES[1])
        scope = None if method.startswith(HEALTH) else SCOPES.get(name) or SCOPES[name.partition("/")[0]]
        metadata: Any = details.invocation_metadata
        told = dict(metadata)
        authorization: str | None = told.get("authorization")
        trace = read_trace(told)
        decode = decoder(handler.request_deserializer, name)

        def guarded(inner: Handler) -> Handler:
            async def decoded(request: Any, context: Context) -> Any:
                each = decode_each(request, decode) if handler.request_streaming else decode(request)
                return await inner(each, context)

            async def call(request: Any, context: Context) -> Any:
                if scope is None:
                    return await checked(decoded, request, context)
                return await self.call(decoded, request, context, name, scope, authorization, trace)

            return call

        make = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[(handler.request_streaming, handler.response_streaming)]
        inner = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        return make(guarded(inner), None, handler.response_serializer)

    async def call(
        self, inner: Handler, request: Any, context: Context, name: str, scope: str,
        authorization: str | None, trace: Trace | None,
    ) -> Any:  # fmt: skip
        started = time.perf_counter()
        own = trace.below() if trace is not None else None
        current_trace.set(own)
        self.metrics.calls.labels(name).inc()
        self.calls += 1
        code = "OK"
        try:
            if self.calls > self.max_calls:
                raise exhausted("TOO_MANY_CALLS", f"{self.max_calls} calls are open", "server", 1)
            caller = await self.tokens.caller(authorization)
            require_scope(caller, scope)
            current_caller.set(caller)
            return await inner(request, context)
        except asyncio.CancelledError:
            code = "CANCELLED"
            raise
        except Exception as error:
            api_error = as_api_error(error, name)
            code = code_pb2.Code.Name(cast(Any, api_error.code))
            await refuse(context, api_error)
        finally:
            self.calls -= 1
            seconds = time.perf_counter() - started
            self.metrics.call_time.labels(name, code).observe(seconds)
            if trace is not None and own is not None:
                trace.end(own, name, seconds, code=code)


async def checked(inner: Handler, request: Any, context: Context) -> Any:
    try:
        return await inner(request, context)
    except ApiError as error:
        await refuse(context, error)


def decoder(deserialize: Decode, name: str) -> Decode:
    """Decodes a request; gRPC's own way tells the caller UNKNOWN and the name of a Python class."""

    def decode(data: bytes) -> Any:
        if name != WITH_DATA and len(data) > REQUEST_BYTES:
            raise limit_exceeded("request", REQUEST_BYTES, len(data))
        try:
            return deserialize(data)
        except DecodeError:
            raise invalid_field("request", f"is not in the wire format of a request to {name}") from None

    return decode


async def decode_each(requests: AsyncIterator[bytes], decode: Decode) -> AsyncIterator[Any]:
    async for data in requests:
        yield decode(data)


async def refuse(context: Context, error: ApiError) -> None:
    """Ends the call with the error's status and details."""
    status = rpc_status.to_status(error.status())
    trailing = tuple(status.trailing_metadata)
    if error.reason == "STORE_BUSY":  # it was tried for as long as the store may take
        trailing = (*trailing, NO_RETRY)
    await context.abort(status.code, status.details, trailing)


def as_api_error(error: Exception, method: str) -> ApiError:
    """What the caller is told. Our own mistakes are told by a number that finds the log line."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, StoreBusy):
        return unavailable("STORE_BUSY", "the store cannot be written at the moment", 2)
    if isinstance(error, StoreLost):
        return unavailable("STORE_LOST", "the server can store nothing any more, and ends", 5)
    if isinstance(error, grpc.aio.AbortError):
        raise error
    log_id = uuid.uuid4().hex[:12]
    found = {"trace_id": trace.trace_id} if (trace := current_trace.get()) is not None else {}
    log.error("a call failed", exc_info=error, extra={"log_id": log_id, "method": method, **found})
    return ApiError(
        code_pb2.INTERNAL, "INTERNAL", f"an error of the server; log {log_id}", {"log_id": log_id}
    )
