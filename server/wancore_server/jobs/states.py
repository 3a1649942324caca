"""The states of a job, and events as they are stored."""

from __future__ import annotations

from typing import Any

from google.rpc import code_pb2, status_pb2
from wancore_proto.v1 import job_pb2

from wancore_server.clock import now_ns, timestamp

QUEUED = job_pb2.Job.STATE_QUEUED
STARTING = job_pb2.Job.STATE_STARTING
RUNNING = job_pb2.Job.STATE_RUNNING
SUCCEEDED = job_pb2.Job.STATE_SUCCEEDED
FAILED = job_pb2.Job.STATE_FAILED
CANCELLING = job_pb2.Job.STATE_CANCELLING
CANCELLED = job_pb2.Job.STATE_CANCELLED

FINAL = frozenset({SUCCEEDED, FAILED, CANCELLED})
ACTIVE = frozenset({STARTING, RUNNING, CANCELLING})
UNFINISHED = frozenset({QUEUED, *ACTIVE})


def event(attempt: int, **content: Any) -> job_pb2.JobEvent:
    """An event of now; `content` is one member of its oneof."""
    return job_pb2.JobEvent(attempt=attempt, time=timestamp(now_ns()), **content)


def state_changed(attempt: int, state: job_pb2.Job.State, previous: job_pb2.Job.State) -> job_pb2.JobEvent:
    return event(attempt, state=job_pb2.StateChanged(state=state, previous=previous))


def result_event(info: job_pb2.Job, **content: Any) -> job_pb2.JobEvent:
    """The last event of a job that has ended."""
    result = job_pb2.JobResult(state=info.state, frame_count=info.frame_count, **content)
    if info.HasField("error"):
        result.error.CopyFrom(info.error)
    return event(info.attempt, result=result)


def is_ok(status: status_pb2.Status) -> bool:
    return status.code == code_pb2.OK
