"""What a session has to say: sound until the server has it, controls and acknowledgements in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from wancore_proto.v1alpha import session_service_pb2 as pb

from wancore_client.errors import WancoreClientError

CHUNK_S = 0.5  # of sound in a message


@dataclass
class Track:
    """The sound of one input. `kept`: from sample `start` on, what the server may not have; `sent` so far."""

    kept: bytearray = field(default_factory=bytearray)
    start: int = 0
    sent: int = 0
    used: int = 0
    ended: bool = False
    end_sent: bool = False

    @property
    def count(self) -> int:
        return self.start + len(self.kept) // 2


class Outbox:
    """Filled by callers, emptied by the stream that is joined. A lost stream loses nothing."""

    def __init__(self, roles: list[str], rate: int) -> None:
        self.tracks = {role: Track() for role in roles}
        self.rate = rate
        self.limit = 60 * rate
        self.words: deque[pb.LiveRequest] = deque()
        self.changed = threading.Condition()
        self.shown = -1  # the last block acknowledged
        self.stream = 0  # number of the stream that may send
        self.ready = self.closed = False

    def track(self, role: str) -> Track:
        name = role or next(iter(self.tracks))
        if name not in self.tracks:
            raise WancoreClientError(f"role: got {role!r}; accepted: {', '.join(self.tracks)}")
        return self.tracks[name]

    def push(self, pcm: bytes, role: str) -> None:
        """Waits for room. Raises `WancoreClientError` after the end."""
        if len(pcm) % 2:
            raise WancoreClientError(f"sound: got {len(pcm)} bytes; accepted: 16-bit samples, two bytes each")
        track = self.track(role)
        piece = int(CHUNK_S * self.rate) * 2
        for at in range(0, len(pcm), piece):
            with self.changed:
                self.changed.wait_for(lambda: self.closed or self.has_room(track, piece // 2))
                if track.ended or self.closed:
                    raise WancoreClientError("sound: nothing is taken after the end of the session's sound")
                track.kept += pcm[at : at + piece]
                self.changed.notify_all()

    def has_room(self, track: Track, samples: int) -> bool:
        return track.count - track.used <= self.limit - samples

    def end(self, role: str) -> None:
        with self.changed:
            for track in self.tracks.values() if not role else (self.track(role),):
                track.ended = True
            self.changed.notify_all()

    def say(self, request: pb.LiveRequest) -> None:
        with self.changed:
            if request.HasField("ack"):
                self.shown = max(self.shown, request.ack.block)
            self.words.append(request)
            self.changed.notify_all()

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def joined(self, joined: pb.Joined) -> None:
        """Sound goes on from what the server has."""
        with self.changed:
            self.limit = joined.audio_limit or self.limit
            for told in joined.audio:
                self.confirm(told)
                self.tracks[told.role].sent = told.received
            for track in self.tracks.values():
                track.end_sent = False
            known = joined.acknowledged_block if joined.HasField("acknowledged_block") else -1
            if self.shown > known:  # its acknowledgement was lost with the stream before
                self.words.appendleft(pb.LiveRequest(ack=pb.BlockAck(block=self.shown)))
            self.ready = True
            self.changed.notify_all()

    def received(self, told: pb.AudioReceived) -> None:
        with self.changed:
            self.confirm(told)
            self.changed.notify_all()

    def confirm(self, told: pb.AudioReceived) -> None:
        track = self.tracks[told.role]
        track.used = max(track.used, told.used)
        if told.received > track.start:
            del track.kept[: 2 * (told.received - track.start)]
            track.start = told.received

    def left(self) -> None:
        """The stream is gone: nothing is sent before another has joined."""
        with self.changed:
            self.stream += 1
            self.ready = False
            self.changed.notify_all()

    def joining(self, header: pb.LiveHeader) -> Iterator[pb.LiveRequest]:
        """Messages of a new stream, until it is left."""
        mine = self.stream
        yield pb.LiveRequest(header=header)
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.stream != mine or self.closed or self.something)
                if self.stream != mine or self.closed:
                    return
                request = self.next()
            yield request

    @property
    def something(self) -> bool:
        if not self.ready:
            return False
        return bool(self.words) or any(
            track.sent < track.count or (track.ended and not track.end_sent) for track in self.tracks.values()
        )

    def next(self) -> pb.LiveRequest:
        """Words first: they are few, and credit must not wait behind sound."""
        if self.words:
            return self.words.popleft()
        for role, track in self.tracks.items():
            if track.sent < track.count:
                stop = min(track.count, track.sent + int(CHUNK_S * self.rate))
                pcm = bytes(track.kept[2 * (track.sent - track.start) : 2 * (stop - track.start)])
                chunk = pb.AudioChunk(role=role, position=track.sent, pcm16=pcm)
                track.sent = stop
                return pb.LiveRequest(audio=chunk)
            if track.ended and not track.end_sent:
                track.end_sent = True
                return pb.LiveRequest(end=pb.EndOfInput(role=role))
        raise AssertionError("asked for something that is not there")
