"""JobService."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import google_crc32c
from google.protobuf import empty_pb2
from google.rpc import code_pb2
from wancore_proto.v1 import frames_pb2, job_pb2, job_service_pb2, job_service_pb2_grpc

from wancore_server import names
from wancore_server.errors import ApiError, exhausted, invalid_field, not_found, out_of_range
from wancore_server.jobs.create import Creation
from wancore_server.jobs.dispatcher import Dispatcher
from wancore_server.jobs.ledger import Ledger
from wancore_server.jobs.live import LiveJob
from wancore_server.jobs.watch import PART_BYTES, Viewing, Watch
from wancore_server.security.tokens import current_caller
from wancore_server.services.context import Context
from wancore_server.services.paging import decode_token, encode_token, page_size
from wancore_server.store import Store
from wancore_server.tracing import traced

PAGE_BYTES = 3 * 2**20  # a page of jobs with long prompts ends early: clients take 4 MiB
MAX_TIME = 2**63 - 1  # ns since 1970, as the store holds it


class JobServicer(job_service_pb2_grpc.JobServiceServicer):
    """`max_viewers` streams at once; `delete_files(job)` removes what a job left on the disk."""

    def __init__(
        self,
        creation: Creation,
        dispatcher: Dispatcher,
        viewing: Viewing,
        store: Store,
        max_viewers: int,
        delete_files: Callable[[str], Awaitable[None]],
    ) -> None:
        self.creation, self.dispatcher, self.viewing = creation, dispatcher, viewing
        self.store, self.max_viewers, self.delete_files = store, max_viewers, delete_files
        self.watches: set[Watch] = set()

    @property
    def ledger(self) -> Ledger:
        return self.creation.ledger

    async def opened(self, name: str) -> LiveJob:
        return await self.ledger.open(names.job_id(name), current_caller.get().name)

    async def CreateJob(self, request: job_service_pb2.CreateJobRequest, context: Context) -> job_pb2.Job:
        made = await self.creation.create(
            request.spec, current_caller.get().name, request.request_id, job_pb2.ON_DISCONNECT_KEEP,
            request.validate_only,
        )  # fmt: skip
        return made.described() if isinstance(made, LiveJob) else made

    async def GetJob(self, request: job_service_pb2.GetJobRequest, context: Context) -> job_pb2.Job:
        return (await self.opened(request.name)).described()

    async def ListJobs(
        self, request: job_service_pb2.ListJobsRequest, context: Context
    ) -> job_service_pb2.ListJobsResponse:
        size = page_size(request.page_size)
        states = set(request.states)
        if not states <= set(job_pb2.Job.State.values()):
            raise invalid_field("states", "has a value that this server does not know")
        before = read_token(request.page_token) if request.page_token else None
        owner = current_caller.get().name
        rows = await self.store.list_jobs(owner, states, before, size + 1)
        jobs, room = list[job_pb2.Job](), PAGE_BYTES
        for row in rows[:size]:
            live = self.ledger.lives.get(row.id)
            job = live.described() if live is not None else job_pb2.Job.FromString(row.info)
            room -= job.ByteSize()
            if room < 0 and jobs:
                break
            jobs.append(job)
        last = rows[len(jobs) - 1] if len(rows) > len(jobs) else None
        token = encode_token(f"{last.created} {last.id}") if last is not None else ""
        return job_service_pb2.ListJobsResponse(jobs=jobs, next_page_token=token)

    async def WatchJob(self, request: job_service_pb2.WatchJobRequest, context: Context) -> None:
        live = await self.opened(request.name)
        cursor = request.cursor if request.HasField("cursor") else None
        await self.watch(live, request.view, cursor, context)

    async def Generate(self, request: job_service_pb2.GenerateRequest, context: Context) -> None:
        check_view(request.view)
        live = await self.creation.create(
            request.spec, current_caller.get().name, request.request_id,
            job_pb2.ON_DISCONNECT_CANCEL_AFTER_GRACE, False,
        )  # fmt: skip
        assert isinstance(live, LiveJob)
        await self.watch(live, request.view, job_service_pb2.Cursor(after_sequence=0), context)

    async def watch(
        self,
        live: LiveJob,
        view: job_service_pb2.View,
        cursor: job_service_pb2.Cursor | None,
        context: Context,
    ) -> None:
        check_view(view)
        if len(self.watches) >= self.max_viewers:
            self.dispatcher.start_grace(live)
            raise exhausted("TOO_MANY_VIEWERS", f"{self.max_viewers} streams are open", "viewers", 2)
        watch = Watch(live, view, cursor, self.viewing, context.write)
        self.watches.add(watch)
        self.viewing.metrics.viewers.set(len(self.watches))
        self.dispatcher.watched(live)
        try:
            with traced("send", job=live.id):
                await watch.run()
        finally:
            self.watches.discard(watch)
            self.viewing.metrics.viewers.set(len(self.watches))
            self.dispatcher.left(live)

    @property
    def lag(self) -> int:
        """Frames that the slowest viewer is behind."""
        return max((watch.behind for watch in self.watches), default=0)

    async def CancelJob(self, request: job_service_pb2.CancelJobRequest, context: Context) -> job_pb2.Job:
        live = await self.opened(request.name)
        await self.dispatcher.cancel(live)
        return live.described()

    async def DeleteJob(self, request: job_service_pb2.DeleteJobRequest, context: Context) -> empty_pb2.Empty:
        live = await self.opened(request.name)
        if not live.final:
            text = "the job has not ended; cancel it first"
            raise ApiError(code_pb2.FAILED_PRECONDITION, "JOB_NOT_FINAL", text, {"name": request.name})
        await self.delete_files(live.id)
        return empty_pb2.Empty()

    async def ReadArtifact(self, request: job_service_pb2.ReadArtifactRequest, context: Context) -> None:
        job, number = names.artifact_id(request.name)
        live = await self.ledger.open(job, current_caller.get().name)
        if number >= len(live.info.artifacts):
            raise not_found("Artifact", request.name)
        artifact, offset = live.info.artifacts[number], request.offset_bytes
        if offset > artifact.size_bytes:
            text = f"the file has {artifact.size_bytes} bytes"
            raise out_of_range("CURSOR_INVALID", text, 0, artifact.size_bytes)
        path = self.viewing.tracks.path(job, live.attempt, artifact.encoding)
        while offset < artifact.size_bytes:
            size = min(PART_BYTES, artifact.size_bytes - offset)
            try:
                data = await self.viewing.spool.read(path, offset, size)
            except OSError as error:
                text = "the file is no longer kept"
                raise out_of_range("FRAMES_EXPIRED", text, 0, artifact.size_bytes) from error
            piece = job_service_pb2.ReadArtifactResponse(
                offset_bytes=offset, data=data, crc32c=google_crc32c.value(data)
            )
            await context.write(piece)
            offset += size


def check_view(view: job_service_pb2.View) -> None:
    """Raises `ApiError` for values that this server does not know."""
    if view.encoding not in frames_pb2.Encoding.values():
        raise invalid_field("view.encoding", "is not an encoding that this server knows")
    if view.mode not in job_service_pb2.DeliveryMode.values():
        raise invalid_field("view.mode", "is not a mode that this server knows")


def read_token(token: str) -> tuple[int, str]:
    created, _, job = decode_token(token).partition(" ")
    whole = created.isascii() and created.isdigit() and len(created) <= 19
    if not whole or int(created) > MAX_TIME or names.UUID.fullmatch(job) is None:
        raise invalid_field("page_token", "must come from the page before")
    return int(created), job
