"""All live sessions: made, given to workers, ended in time."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
import uuid
from pathlib import Path

from google.rpc import code_pb2
from wancore_proto.v1 import catalog_service_pb2, job_pb2
from wancore_proto.v1alpha import session_service_pb2 as pb

from wancore_server.clock import now_ns, timestamp
from wancore_server.errors import ApiError, exhausted, invalid_field, not_found, unavailable, unsupported
from wancore_server.jobs.create import Creation
from wancore_server.jobs.validate import MAX_SEED, declaration_for, usage
from wancore_server.metrics import Metrics
from wancore_server.sessions.run import SessionRun
from wancore_server.sessions.session import KEPT_BLOCKS, LiveSession, Sound, State
from wancore_server.settings import ServerSettings
from wancore_server.wire import wire_pb2
from wancore_server.workers.slot import Slot

SAMPLE_RATE = 16_000
USUAL_LEAD = 2
LEASES = 4  # renewals that may be late before a worker gives up


class Sessions:
    """`creation` checks requests and knows workers; `scratch` is where blocks pass through."""

    def __init__(self, creation: Creation, settings: ServerSettings, metrics: Metrics, scratch: Path) -> None:
        self.creation, self.settings, self.metrics, self.scratch = creation, settings, metrics, scratch
        self.all: dict[str, LiveSession] = {}
        self.waiting: list[LiveSession] = []

    async def create(self, request: pb.CreateSessionRequest, owner: str) -> LiveSession:
        """Raises `ApiError` for what is wrong with it, or where there is no room for it."""
        spec = job_pb2.JobSpec()
        spec.CopyFrom(request.spec)
        spec.ClearField("delivery")
        asked = list(request.live_inputs)
        checked = await self.creation.check(spec, owner, lambda family: live_roles(family, asked))
        family = checked.families[0]
        spec.family = family.name
        lead = request.max_lead_blocks or USUAL_LEAD
        if lead >= KEPT_BLOCKS:
            raise invalid_field("max_lead_blocks", f"1 to {KEPT_BLOCKS - 1}, or 0 for {USUAL_LEAD}")
        roles = live_roles(family, asked)
        id = str(uuid.uuid4())
        info = pb.Session(
            name=f"sessions/{id}", spec=spec, state=State.STATE_WAITING, live_inputs=roles,
            sample_rate=SAMPLE_RATE, max_lead_blocks=lead, create_time=timestamp(now_ns()),
            seed=spec.seed if spec.HasField("seed") else secrets.randbelow(MAX_SEED) + 1,
        )  # fmt: skip
        session = LiveSession(
            id, owner, spec.family.removeprefix("families/"), checked.engine_model, info,
            self.scratch / f"session-{id}", {role: Sound() for role in roles},
        )  # fmt: skip
        await self.creation.checker.check(session.family, self.engine_fields(session))
        await self.admit(session)
        self.all[id] = session
        self.waiting.append(session)
        self.creation.dispatcher.wake()
        return session

    def engine_fields(self, session: LiveSession) -> dict[str, object]:
        job = job_pb2.Job(spec=session.info.spec, seed=session.info.seed)
        fields = self.creation.dispatcher.request(job, session.engine_model)
        return {**fields, "live": list(session.sounds)}

    async def admit(self, session: LiveSession) -> None:
        if self.creation.draining:
            raise unavailable("DRAINING", "the server is shutting down", 5)
        if self.creation.dispatcher.no_worker_for(session.family):
            raise unavailable("NO_WORKER", "every worker that could run it is in quarantine", 60)
        if await self.creation.disk_low():
            raise exhausted("DISK_LOW", "the disk of the server is nearly full", "disk", 60)
        mine = sum(other.owner == session.owner and not other.ended for other in self.all.values())
        share = await self.creation.dispatcher.share(session.owner)
        if mine >= share.running:
            text = f"you have {mine} live sessions"
            raise exhausted("QUOTA_EXCEEDED", text, f"caller:{session.owner}", 10)

    def place(self, slot: Slot) -> bool:
        """Gives the longest waiting session to a free worker; False where none waits for it."""
        for session in self.waiting:
            if slot.takes(session.family):
                self.waiting.remove(session)
                self.start(session, slot)
                return True
        return False

    def start(self, session: LiveSession, slot: Slot) -> None:
        dispatcher = self.creation.dispatcher
        dispatcher.epoch += 1
        try:
            request = self.engine_fields(session)
        except ApiError as error:  # what it names has gone since it was created
            session.end(error.status())
            return
        session.folder.mkdir(mode=0o700)
        session.info.state = State.STATE_STARTING
        session.run = SessionRun(session, dispatcher.epoch, self.settings, self.metrics, self.ended)
        live = wire_pb2.LiveRun(
            roles=list(session.sounds), sample_rate=SAMPLE_RATE, allowed_blocks=session.allowed_blocks,
            lease_s=LEASES * self.settings.session_lease_s,
        )  # fmt: skip
        command = wire_pb2.RunJob(
            lease=session.run.lease, request=json.dumps(request), spool_path=str(session.folder), live=live
        )
        slot.streak = slot.streak + 1 if session.engine_model == slot.last_model else 1
        slot.last_model = session.engine_model
        slot.start(session.run, command)
        for content in session.backlog:
            session.run.feed(**content)
        session.backlog.clear()
        session.news.tell()

    def ended(self, session: LiveSession) -> None:
        self.creation.dispatcher.wake()

    def open(self, id: str, owner: str) -> LiveSession:
        session = self.all.get(id)
        if session is None or session.owner != owner:
            raise not_found("Session", f"sessions/{id}")
        return session

    def end(self, session: LiveSession, code: int, reason: str, text: str) -> None:
        """Ends a session for a reason; its worker stops."""
        if session in self.waiting:
            self.waiting.remove(session)
        session.end(ApiError(code, reason, text).status())
        if session.run is not None:
            session.run.stop_worker()

    async def run(self) -> None:
        """Until cancelled: leases, limits, and what has ended long enough ago."""
        s = self.settings
        least = min(s.session_lease_s, s.session_idle_s, s.session_rejoin_s, s.session_lifetime_s)
        renewed = 0.0
        while True:
            await asyncio.sleep(min(1.0, least / 5))
            now = time.monotonic()
            due = now - renewed >= s.session_lease_s
            renewed = now if due else renewed
            for session in list(self.all.values()):
                if due and session.run is not None:
                    session.run.feed(renewed=True)
                self.look_at(session, now)
            self.metrics.sessions.set(sum(not session.ended for session in self.all.values()))

    def look_at(self, session: LiveSession, now: float) -> None:
        s = self.settings
        if session.ended_at is not None:
            if session.viewer is None and now - session.ended_at > s.session_rejoin_s and session.run is None:
                session.drop_files()
            if now - session.ended_at > s.session_kept_s:
                session.drop_files()
                del self.all[session.id]
            return
        patience = s.session_rejoin_s if session.joined_once else s.session_idle_s
        if now - session.created > s.session_lifetime_s:
            text = f"a session lasts {s.session_lifetime_s:g} s at most"
            self.end(session, code_pb2.DEADLINE_EXCEEDED, "SESSION_LIFETIME", text)
        elif session.viewer is None and now - session.alone_since > patience:
            self.end(session, code_pb2.ABORTED, "SESSION_ABANDONED", f"nobody joined for {patience:g} s")
        elif session.viewer is not None and self.idle(session, now) > s.session_idle_s:
            text = f"the client said nothing for {s.session_idle_s:g} s"
            self.end(session, code_pb2.DEADLINE_EXCEEDED, "SESSION_IDLE", text)

    def idle(self, session: LiveSession, now: float) -> float:
        """Seconds for which the client had cause to say something and did not: the worker waits for it."""
        waits = session.run is not None and session.run.waits
        return now - max(session.last_word, session.last_block) if waits else 0.0

    def drain(self) -> None:
        for session in list(self.all.values()):
            if not session.ended:
                self.end(session, code_pb2.UNAVAILABLE, "DRAINING", "the server is shutting down")

    @property
    def busy(self) -> bool:
        """Whether a worker has one, or a client has not been told its end yet."""
        sessions = self.all.values()
        return any(s.run is not None or (s.ended and s.viewer is not None) for s in sessions)


def live_roles(family: catalog_service_pb2.Family, asked: list[str]) -> list[str]:
    """The inputs that arrive live. Raises `ApiError`."""
    able = [declared for declared in family.inputs if declared.live]
    if not able:
        raise unsupported("spec.family", family.name, "cannot run live")
    if not asked:
        return [usage(able[0])]
    for role in asked:
        if declaration_for(able, role) is None or asked.count(role) > 1:
            names = ", ".join(usage(declared) for declared in able)
            raise invalid_field("live_inputs", f"each once, of those that can arrive live: {names}")
    return asked
