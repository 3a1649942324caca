"""What a client says in a live session."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

from google.rpc import code_pb2, status_pb2
from wancore_proto.v1alpha import session_service_pb2 as pb

from wancore_server.errors import ApiError, cut, invalid_field, limit_exceeded
from wancore_server.sessions.session import LiveSession
from wancore_server.settings import ServerSettings
from wancore_server.wire import wire_pb2

MAX_ID = 64
MAX_CONTROLS = 64  # that wait for their block
#: What this server knows; to it, what a later client says beside them is not there.
PARTS = [field.name for field in pb.LiveRequest.DESCRIPTOR.oneofs_by_name["part"].fields]
CHANGES = [field.name for field in pb.Control.DESCRIPTOR.oneofs_by_name["change"].fields]


class Listener:
    """Takes one message after another; `stream` is the one that it belongs to."""

    def __init__(self, session: LiveSession, settings: ServerSettings, stream: object) -> None:
        self.session, self.settings, self.stream = session, settings, stream

    async def run(self, requests: AsyncIterator[pb.LiveRequest]) -> None:
        """Until the client stops talking. Raises `ApiError` for what ends its stream."""
        async for request in requests:
            if self.session.viewer is not self.stream:
                return
            self.session.last_word = time.monotonic()
            self.take(request)

    def take(self, request: pb.LiveRequest) -> None:
        kind = request.WhichOneof("part")
        if kind == "header":
            raise invalid_field("header", "comes once, as the first message")
        if kind is None:
            raise invalid_field("part", f"must be one of: {', '.join(PARTS)}")
        if self.session.ended:
            return
        if kind == "audio":
            self.sound(request.audio)
        elif kind == "end":
            self.end(request.end.role)
        elif kind == "ack":
            self.acknowledge(request.ack.block)
        elif kind == "control":
            try:
                self.control(request.control)
            except ApiError as error:
                self.refuse(request.control.id, error.status())

    def feed(self, **content: Any) -> None:
        """Before a worker has the session nothing can be fed: it is kept (see `backlog`)."""
        if self.session.run is not None:
            self.session.run.feed(**content)
        else:
            self.session.backlog.append(content)

    def role(self, name: str, field: str) -> str:
        role = name or next(iter(self.session.sounds))
        if role not in self.session.sounds:
            raise invalid_field(field, f"must be one of: {', '.join(self.session.sounds)}")
        return role

    def sound(self, chunk: pb.AudioChunk) -> None:
        """What is here already is passed over."""
        role, rate = self.role(chunk.role, "audio.role"), self.session.info.sample_rate
        count = len(chunk.pcm16) // 2
        if len(chunk.pcm16) % 2:
            raise invalid_field("audio.pcm16", "must be 16-bit samples: an even number of bytes")
        if count > rate:
            raise limit_exceeded("audio.pcm16", rate, count)
        sound = self.session.sounds[role]
        if chunk.position > sound.received:
            text = f"the sound of {role} is here up to sample {sound.received}, not {chunk.position}"
            raise ApiError(
                code_pb2.OUT_OF_RANGE, "AUDIO_GAP", text, {"role": role, "received": str(sound.received)}
            )
        fresh = chunk.pcm16[2 * (sound.received - chunk.position) :]
        if not fresh:
            return
        if sound.ended:
            raise invalid_field("audio.role", f"the sound of {role} has ended")
        limit = int(self.settings.session_audio_s * rate)
        if sound.received + len(fresh) // 2 - sound.used > limit:
            raise limit_exceeded("audio", limit, sound.received + len(fresh) // 2 - sound.used)
        sound.received += len(fresh) // 2
        self.feed(sound=wire_pb2.LiveSound(role=role, pcm16=fresh))
        self.session.news.tell()

    def end(self, name: str) -> None:
        for role in self.session.sounds if not name else (self.role(name, "end.role"),):
            self.session.sounds[role].ended = True
        self.feed(ended_role=name)

    def acknowledge(self, block: int) -> None:
        session = self.session
        if block >= session.info.block_count:
            text = f"only {session.info.block_count} blocks were made"
            raise invalid_field("ack.block", text)
        if session.acknowledged is None or block > session.acknowledged:
            session.acknowledged = block
            self.feed(allowed_blocks=session.allowed_blocks)

    def control(self, control: pb.Control) -> None:
        """Raises `ApiError`, for this control alone."""
        change = control.WhichOneof("change")
        if not 1 <= len(control.id) <= MAX_ID:
            raise invalid_field("control.id", f"1 to {MAX_ID} characters")
        if control.HasField("displayed_block"):
            self.check_displayed(control.displayed_block)
        if change == "prompt":
            self.steer(control)
        elif change in ("pause", "resume"):
            self.feed(pause=wire_pb2.Pause(id=control.id, paused=change == "pause"))
        else:
            raise invalid_field("control.change", f"must be one of: {', '.join(CHANGES)}")

    def check_displayed(self, displayed: int) -> None:
        """A control belongs to what its user saw: not to a block that is past, or not there yet."""
        made, shown = self.session.info.block_count, self.session.acknowledged
        if displayed >= made:
            raise invalid_field("control.displayed_block", f"only {made} blocks were made")
        if shown is not None and displayed < shown:
            text = f"block {shown} was shown since"
            metadata = {"displayed": str(displayed), "shown": str(shown)}
            raise ApiError(code_pb2.FAILED_PRECONDITION, "CONTROL_STALE", text, metadata)

    def steer(self, control: pb.Control) -> None:
        asked, limit = control.prompt, self.settings.prompt_bytes
        steer = wire_pb2.Steer(id=control.id)
        for field in ("prompt", "negative_prompt"):
            if asked.HasField(field):
                text = getattr(asked, field)
                if len(text.encode()) > limit:
                    raise limit_exceeded(f"control.prompt.{field}", limit, len(text.encode()))
                setattr(steer, field, text)
        if len(self.session.controls) >= MAX_CONTROLS:
            raise limit_exceeded("control", MAX_CONTROLS, len(self.session.controls) + 1)
        self.session.controls[control.id] = time.monotonic()
        self.feed(steer=steer)

    def refuse(self, id: str, error: status_pb2.Status) -> None:
        self.session.tell(control=pb.ControlResult(id=cut(id, MAX_ID), error=error))
