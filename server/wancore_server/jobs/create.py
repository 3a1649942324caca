"""A request becomes a job."""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping

from google.rpc import code_pb2, error_details_pb2
from wancore_proto.v1 import catalog_service_pb2, frames_pb2, job_pb2

from wancore_server.catalog.catalog import Catalog
from wancore_server.catalog.checker import Answer, Checker
from wancore_server.clock import SECOND, now_ns, timestamp
from wancore_server.errors import ApiError, Violation, exhausted, invalid, unavailable, violations_of
from wancore_server.jobs.dispatcher import Dispatcher
from wancore_server.jobs.ledger import Ledger
from wancore_server.jobs.live import LiveJob
from wancore_server.jobs.rest import overlap, without
from wancore_server.jobs.states import QUEUED, UNFINISHED, event, state_changed
from wancore_server.jobs.validate import MAX_SEED, Checked, Validation
from wancore_server.names import new_job_id, request_id
from wancore_server.settings import ServerSettings
from wancore_server.store import AssetRow, NewJob, RequestIdReused, Store
from wancore_server.tracing import current_trace, traced

log = logging.getLogger(__name__)
LiveRoles = Callable[[catalog_service_pb2.Family], list[str]]
Later = Mapping[str, list[str]]  # the engine's `live`, or nothing


class Creation:
    """Checks and stores new jobs. `disk_low()` tells whether there is too little room for new work."""

    def __init__(
        self,
        ledger: Ledger,
        dispatcher: Dispatcher,
        catalog: Catalog,
        checker: Checker,
        store: Store,
        settings: ServerSettings,
        disk_low: Callable[[], Awaitable[bool]],
    ) -> None:
        self.ledger, self.dispatcher, self.catalog, self.checker = ledger, dispatcher, catalog, checker
        self.store, self.settings, self.disk_low = store, settings, disk_low
        self.draining = False

    async def check(self, spec: job_pb2.JobSpec, owner: str, live: LiveRoles | None = None) -> Checked:
        """Raises `ApiError` for what is wrong with a request. `live`: which inputs arrive later, if any."""
        validation = Validation(spec, self.catalog, self.settings, live is not None)
        validation.limits()
        later = {} if live is None else {"live": live(validation.families()[0])}
        await self.catalog.loras.look(use.name for use in spec.loras)
        assets = await self.store.assets(owner, validation.digests())
        try:
            return validation.check(assets)
        except ApiError as error:
            if not (refused := violations_of(error)):
                raise
            more = await self.rules_of_the_rest(spec, refused, assets, later)
            raise invalid([*refused, *more], error.reason) from None

    async def rules_of_the_rest(
        self, spec: job_pb2.JobSpec, refused: list[Violation], assets: Mapping[str, AssetRow], later: Later
    ) -> list[Violation]:
        """What a family's own rules refuse beside what is refused already, where they can be asked."""
        rest = without(spec, refused)
        if rest is None:
            return []
        try:
            checked = Validation(rest, self.catalog, self.settings, bool(later)).check(assets)
        except ApiError:
            return []
        try:
            await self.ask_rules(job_pb2.Job(spec=rest, seed=1), checked, later)
        except ApiError as error:
            told = [violation.field for violation in refused]
            return [v for v in violations_of(error) if not any(overlap(v.field, field) for field in told)]
        return []

    async def create(
        self, spec: job_pb2.JobSpec, owner: str, request: str, default: job_pb2.OnDisconnect, only_check: bool
    ) -> LiveJob | job_pb2.Job:
        """The job (an old one where the request id says so), or only how it would be."""
        request = request_id(request)
        settled = job_pb2.JobSpec()
        settled.CopyFrom(spec)
        settled.on_disconnect = spec.on_disconnect or default
        body = hashlib.sha256(settled.SerializeToString(deterministic=True)).digest()
        if not settled.delivery.encodings:
            settled.delivery.encodings.append(frames_pb2.ENCODING_RAW_RGB8)
        checked = await self.check(settled, owner)
        settled.family = checked.families[0].name
        info = self.job(settled, checked)
        repeated = bool(request) and await self.store.request_known(owner, request)
        with traced("rules"):
            answer = Answer() if repeated else await self.ask_rules(info, checked)
        if answer.format is not None:
            info.format.CopyFrom(answer.format)
        if only_check:
            if answer.unasked:
                raise unavailable("NOT_CHECKED", not_checked(settled.family, answer), 5)
            if not settled.HasField("seed"):
                info.ClearField("seed")  # each job draws its own
            return info
        job = new_job_id()
        info.name = f"jobs/{job}"
        created = info.create_time.ToNanoseconds()
        trace = current_trace.get()
        new = NewJob(
            job, owner, settled.family.removeprefix("families/"), checked.model, created,
            info.SerializeToString(), request, body, tuple(first_events(settled.family, answer)),
            "" if trace is None else trace.header(),
        )  # fmt: skip
        if not repeated:
            await self.admit(owner, new.family)
        try:
            after = created - int(self.settings.request_id_s * SECOND)
            return await self.ledger.changes.run(self.store_and_queue(new, after, checked, settled))
        except RequestIdReused as error:
            raise reused(error.job) from None

    async def store_and_queue(
        self, new: NewJob, request_ids_after: int, checked: Checked, settled: job_pb2.JobSpec
    ) -> LiveJob:
        """Done to its end though the caller may go: what is stored must also be queued, and may have to end
        again when nobody comes to watch it."""
        live, fresh = await self.ledger.create(new, request_ids_after, checked.engine_model)
        if fresh:
            asked = {"prompt": settled.prompt} if self.settings.log_prompts else {}
            log.info("job created", extra={"job": new.id, "caller": new.owner, **asked})
            self.dispatcher.enqueue(live)
            self.dispatcher.start_grace(live)
        return live

    def job(self, spec: job_pb2.JobSpec, checked: Checked) -> job_pb2.Job:
        now = now_ns()
        info = job_pb2.Job(
            spec=spec,
            state=QUEUED,
            create_time=timestamp(now),
            plugin_version=checked.families[0].plugin_version,
            schema_hash=checked.families[0].schema_hash,
            # Settled here, so that every attempt makes the same video.
            seed=spec.seed if spec.HasField("seed") else secrets.randbelow(MAX_SEED) + 1,
        )
        if spec.HasField("expire_time"):
            info.expire_time.CopyFrom(spec.expire_time)
        return info

    async def ask_rules(self, info: job_pb2.Job, checked: Checked, later: Later | None = None) -> Answer:
        """Raises `ApiError` where a family's own rules refuse the request, with the fields of `later`."""
        request = {**self.dispatcher.request(info, checked.engine_model), **(later or {})}
        return await self.checker.check(checked.families[0].name.removeprefix("families/"), request)

    async def admit(self, owner: str, family: str) -> None:
        """Raises `ApiError` where there is no room for one more job."""
        if self.draining:
            raise unavailable("DRAINING", "the server is shutting down", 5)
        if self.dispatcher.no_worker_for(family):
            raise unavailable("NO_WORKER", "every worker that could run it is in quarantine", 60)
        if await self.disk_low():
            raise exhausted("DISK_LOW", "the disk of the server is nearly full", "disk", 60)
        unfinished = [live for live in self.ledger.lives.values() if live.state in UNFINISHED]
        waiting = [live for live in unfinished if live.state == QUEUED]
        if len(waiting) >= self.settings.queued_jobs:
            raise exhausted("QUEUE_FULL", f"{len(waiting)} jobs are waiting", "queue", 10)
        share = await self.dispatcher.share(owner)
        mine = sum(live.owner == owner for live in waiting)
        if mine >= share.queued:
            raise exhausted("QUOTA_EXCEEDED", f"you have {mine} jobs waiting", f"caller:{owner}", 10)


def not_checked(family: str, answer: Answer) -> str:
    return f"the rules of {family} could not be asked: {answer.unasked}"


def first_events(family: str, answer: Answer) -> Iterator[bytes]:
    """QUEUED; and a warning where a mistake may only show in the worker."""
    yield state_changed(0, QUEUED, job_pb2.Job.STATE_UNSPECIFIED).SerializeToString()
    if answer.unasked:
        text = f"{not_checked(family, answer)}; the worker asks them before it starts"
        yield event(0, warning=job_pb2.Warning(reason="NOT_CHECKED", message=text)).SerializeToString()


def reused(job: str) -> ApiError:
    resource = error_details_pb2.ResourceInfo(
        resource_type="wancore.v1.Job", resource_name=f"jobs/{job}", description="made with this request id"
    )
    text = "this request id was used for another request"
    return ApiError(code_pb2.ALREADY_EXISTS, "REQUEST_ID_REUSED", text, {"job": f"jobs/{job}"}, (resource,))
