"""What can go wrong, as exceptions; each carries the server's stable reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2

STATUS_KEY = "grpc-status-details-bin"


class WancoreClientError(Exception):
    """Base of everything that this package raises on purpose."""


class ConnectionLost(WancoreClientError):
    """The server could not be reached again in time."""


class FrameDamaged(WancoreClientError):
    """Bytes arrived that do not match their checksum."""


class ApiError(WancoreClientError):
    """An error that the server tells.

    `code`: a `google.rpc.Code`; `reason`: stable, UPPER_SNAKE, '' if the server gave none;
    `metadata`: values named in the text; `fields`: path -> problem; `retry_s`: when to try again.
    """

    def __init__(self, status: status_pb2.Status) -> None:
        self.status, self.code = status, status.code
        self.reason, self.metadata = "", dict[str, str]()
        self.fields: Mapping[str, str] = {}
        self.retry_s: float | None = None
        self.read(status)
        super().__init__(f"{self.reason or code_name(self.code)}: {status.message}")

    def read(self, status: status_pb2.Status) -> None:
        info, bad, retry = (
            error_details_pb2.ErrorInfo(),
            error_details_pb2.BadRequest(),
            error_details_pb2.RetryInfo(),
        )
        for detail in status.details:
            if detail.Unpack(info):
                self.reason, self.metadata = info.reason, dict(info.metadata)
            elif detail.Unpack(bad):
                self.fields = {v.field: v.description for v in bad.field_violations}
            elif detail.Unpack(retry):
                self.retry_s = retry.retry_delay.ToNanoseconds() / 1e9


class InvalidRequest(ApiError):
    """Something about the request is wrong; see `fields`."""


class NotFound(ApiError):
    """There is no such job, family, model or asset, or it is another caller's."""


class NotAuthorised(ApiError):
    """The token is missing or wrong, or lacks a scope."""


class Refused(ApiError):
    """The server does not do this now: a quota, a precondition, an expired cursor."""


class Unavailable(ApiError):
    """The server is starting, draining, or not there."""


class InternalError(ApiError):
    """A mistake of the server; `metadata["log_id"]` finds it in its log."""


class JobFailed(ApiError):
    """The job ended with an error."""


class SessionEnded(ApiError):
    """A live session ended before its sound did; `reason` tells why: SESSION_LOST, SESSION_IDLE, …"""


class JobCancelled(WancoreClientError):
    """The job was cancelled."""


KINDS: Mapping[int, type[ApiError]] = {
    code_pb2.INVALID_ARGUMENT: InvalidRequest,
    code_pb2.NOT_FOUND: NotFound,
    code_pb2.UNAUTHENTICATED: NotAuthorised,
    code_pb2.PERMISSION_DENIED: NotAuthorised,
    code_pb2.ALREADY_EXISTS: Refused,
    code_pb2.FAILED_PRECONDITION: Refused,
    code_pb2.OUT_OF_RANGE: Refused,
    code_pb2.RESOURCE_EXHAUSTED: Refused,
    code_pb2.DATA_LOSS: Refused,
    code_pb2.UNAVAILABLE: Unavailable,
    code_pb2.INTERNAL: InternalError,
    code_pb2.UNKNOWN: InternalError,
}


def code_name(code: int) -> str:
    known: Any = code_pb2.Code
    return str(known.Name(code)) if code in known.values() else str(code)


def api_error(error: grpc.RpcError) -> ApiError:
    """The typed exception of a failed call."""
    status = status_of(error)
    return KINDS.get(status.code, ApiError)(status)


def status_of(error: grpc.RpcError) -> status_pb2.Status:
    """The status with its details, or one made from the bare code."""
    code, text = error.code(), error.details() or ""
    trailers: Any = error.trailing_metadata() or ()
    for key, value in trailers:
        if key == STATUS_KEY:
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                break
    return status_pb2.Status(code=code.value[0], message=text)
