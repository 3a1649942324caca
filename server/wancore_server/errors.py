"""Errors as the API promises them: a code, a stable reason, and details that stay small."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

DOMAIN = "wancore"
MAX_STATUS_BYTES = 4096  # clients see another code where trailers pass 8 KiB
MAX_MESSAGE = 600
MAX_VALUE = 200
MAX_VIOLATIONS = 20


@dataclass
class ApiError(Exception):
    """A refused call, or the end of a job.

    `code` is a `google.rpc.Code`; `reason` stable UPPER_SNAKE; `metadata` has each value named in the
    text; `details` are further detail messages, each type once.
    """

    code: int
    reason: str
    text: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    details: tuple[Message, ...] = ()

    def __str__(self) -> str:
        return f"{self.reason}: {self.text}"

    def status(self) -> status_pb2.Status:
        """The status, cut to fit."""
        values = {cut(k, 63): cut(v, MAX_VALUE) for k, v in list(self.metadata.items())[:16]}
        info = error_details_pb2.ErrorInfo(reason=self.reason, domain=DOMAIN, metadata=values)
        return fitted(self.code, cut(self.text, MAX_MESSAGE), [info, *self.details])


def fitted(code: int, message: str, details: Iterable[Message]) -> status_pb2.Status:
    """A status of at most `MAX_STATUS_BYTES`: the first detail always, others shortened or left out."""
    status = status_pb2.Status(code=code, message=message)
    for detail in details:
        packed = status.details.add()
        packed.Pack(detail)
        while status.ByteSize() > MAX_STATUS_BYTES and shorten(detail):
            packed.Pack(detail)
        if status.ByteSize() > MAX_STATUS_BYTES:
            del status.details[-1]
    return status


def shorten(detail: Message) -> bool:
    """Drops the last of a detail's repeated violations; False where there is none to drop."""
    for name in ("field_violations", "violations"):
        violations = getattr(detail, name, None)
        if violations is not None and len(violations) > 1:
            del violations[-1]
            return True
    return False


def cut(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8, with a mark where something is missing."""
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return data.decode()
    return data[: limit - 3].decode("utf-8", "ignore") + "…"


def retry_after(seconds: float) -> error_details_pb2.RetryInfo:
    delay = Duration()
    delay.FromMilliseconds(int(seconds * 1000))
    return error_details_pb2.RetryInfo(retry_delay=delay)


@dataclass(frozen=True)
class Violation:
    """One field that cannot be accepted."""

    field: str
    problem: str


def invalid(violations: Iterable[Violation], reason: str = "INVALID_FIELD") -> ApiError:
    """All wrong fields of a request together."""
    found = list(violations)[:MAX_VIOLATIONS]
    bad = error_details_pb2.BadRequest()
    for violation in found:
        bad.field_violations.add(field=cut(violation.field, 120), description=cut(violation.problem, 300))
    first = found[0]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    metadata = {"field": first.field, "count": str(len(found))}
    return ApiError(
        code_pb2.INVALID_ARGUMENT, reason, f"{first.field}: {first.problem}{more}", metadata, (bad,)
    )


def invalid_field(field: str, problem: str) -> ApiError:
    return invalid([Violation(field, problem)])


def limit_exceeded(field: str, limit: int, value: int) -> ApiError:
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field=cut(field, 120), description=f"at most {limit}, got {value}")
    metadata = {"field": field, "limit": str(limit), "value": str(value)}
    text = f"{field}: at most {limit}, got {value}"
    return ApiError(code_pb2.INVALID_ARGUMENT, "LIMIT_EXCEEDED", text, metadata, (bad,))


def not_found(kind: str, name: str, reason: str = "NOT_FOUND") -> ApiError:
    resource = error_details_pb2.ResourceInfo(
        resource_type=f"wancore.v1.{kind}", resource_name=cut(name, MAX_VALUE)
    )
    text = f"there is no {kind.lower()} {cut(name, MAX_VALUE)!r}"
    return ApiError(code_pb2.NOT_FOUND, reason, text, {"name": name}, (resource,))


def out_of_range(reason: str, text: str, first: int, last: int) -> ApiError:
    metadata = {"first": str(first), "last": str(last)}
    return ApiError(code_pb2.OUT_OF_RANGE, reason, text, metadata)


def exhausted(reason: str, text: str, subject: str, wait_s: float, **metadata: str) -> ApiError:
    quota = error_details_pb2.QuotaFailure()
    quota.violations.add(subject=subject, description=cut(text, 300))
    details = (quota, retry_after(wait_s))
    return ApiError(code_pb2.RESOURCE_EXHAUSTED, reason, text, {"subject": subject, **metadata}, details)


def unavailable(reason: str, text: str, wait_s: float = 1.0) -> ApiError:
    return ApiError(code_pb2.UNAVAILABLE, reason, text, {}, (retry_after(wait_s),))


def unsupported(field: str, family: str, what: str) -> ApiError:
    """`what`: the rest of a sentence that begins with the family."""
    metadata = {"field": field, "family": family}
    text = f"{field}: {family} {what}"
    return ApiError(code_pb2.FAILED_PRECONDITION, "UNSUPPORTED_BY_FAMILY", text, metadata)


def violations_of(error: ApiError) -> list[Violation]:
    """What `invalid` was told, or none where the error is of another kind."""
    found = [detail for detail in error.details if isinstance(detail, error_details_pb2.BadRequest)]
    return [Violation(v.field, v.description) for bad in found for v in bad.field_violations]


def missing_assets(names: Iterable[str]) -> ApiError:
    failure = error_details_pb2.PreconditionFailure()
    listed = list(names)[:MAX_VIOLATIONS]
    for name in listed:
        failure.violations.add(type="ASSET_MISSING", subject=cut(name, 120), description="upload it first")
    text = f"{listed[0]} has not been uploaded"
    return ApiError(code_pb2.FAILED_PRECONDITION, "ASSET_MISSING", text, {"asset": listed[0]}, (failure,))


def reason_of(status: status_pb2.Status) -> str:
    """The stable reason in a status, or ''."""
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info):
            return info.reason
    return ""
