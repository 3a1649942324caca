"""SessionService."""

from __future__ import annotations

from collections.abc import AsyncIterator

from google.rpc import code_pb2
from wancore_proto.v1alpha import session_service_pb2 as pb
from wancore_proto.v1alpha import session_service_pb2_grpc

from wancore_server import names
from wancore_server.errors import invalid_field
from wancore_server.frames.spool import Spool
from wancore_server.security.tokens import current_caller
from wancore_server.services.context import Context
from wancore_server.sessions.encoding import Encodings
from wancore_server.sessions.keeper import Sessions
from wancore_server.sessions.session import LiveSession
from wancore_server.sessions.stream import LiveStream


class SessionServicer(session_service_pb2_grpc.SessionServiceServicer):
    """`wancore.v1alpha.SessionService`."""

    def __init__(self, sessions: Sessions, spool: Spool, encodings: Encodings) -> None:
        self.sessions, self.spool, self.encodings = sessions, spool, encodings

    def opened(self, name: str, field: str = "name") -> LiveSession:
        return self.sessions.open(names.session_id(name, field), current_caller.get().name)

    async def CreateSession(self, request: pb.CreateSessionRequest, context: Context) -> pb.Session:
        return (await self.sessions.create(request, current_caller.get().name)).info

    async def GetSession(self, request: pb.GetSessionRequest, context: Context) -> pb.Session:
        return self.opened(request.name).info

    async def EndSession(self, request: pb.EndSessionRequest, context: Context) -> pb.Session:
        session = self.opened(request.name)
        if not session.ended:
            self.sessions.end(session, code_pb2.CANCELLED, "ENDED_BY_CALLER", "the caller ended the session")
        return session.info

    async def Live(self, requests: AsyncIterator[pb.LiveRequest], context: Context) -> None:
        first = await anext(requests, None)
        if first is None or not first.HasField("header"):
            raise invalid_field("header", "comes first")
        session = self.opened(first.header.session, "header.session")
        stream = LiveStream(
            session, first.header, self.sessions.settings, self.spool, self.encodings, context.write
        )
        await stream.run(requests)
