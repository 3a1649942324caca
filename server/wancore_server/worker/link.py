"""The worker's side of its socket."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable

from wancore_server.wire import wire_pb2
from wancore_server.wire.framing import framed, receive
from wancore_server.worker.level import device_memory, process_memory


class Link:
    """Sends from any thread; beats from a thread of its own; ends the process when the gateway is gone."""

    def __init__(self, connection: socket.socket, beat_s: float) -> None:
        self.connection, self.beat_s = connection, beat_s
        self.lock = threading.Lock()
        self.patient = True
        self.memory_bytes, self.device_memory = 0, dict[str, int]()

    def send(self, **content: object) -> None:
        data = framed(wire_pb2.FromWorker(**content))  # type: ignore[arg-type]
        try:
            with self.lock:
                self.connection.sendall(data)
        except OSError:
            os._exit(1)

    def start_beating(self) -> None:
        threading.Thread(target=self.beat, name="beat", daemon=True).start()

    def start_listening(self, handle: Callable[[wire_pb2.ToWorker], None]) -> None:
        threading.Thread(target=self.listen, args=(handle,), name="listen", daemon=True).start()

    def be_patient(self, patient: bool) -> None:
        """Tells at once whether silence is to be expected: the next beat may come too late for it."""
        if patient != self.patient:
            self.patient = patient
            self.send_beat()

    def send_beat(self) -> None:
        beat = wire_pb2.Beat(
            patient=self.patient, memory_bytes=self.memory_bytes, device_memory=self.device_memory
        )
        self.send(beat=beat)

    def beat(self) -> None:
        while True:
            self.memory_bytes, self.device_memory = process_memory(), device_memory()
            self.send_beat()
            time.sleep(self.beat_s)

    def listen(self, handle: Callable[[wire_pb2.ToWorker], None]) -> None:
        while (message := receive(self.connection, wire_pb2.ToWorker)) is not None:
            handle(message)
        os._exit(1)
