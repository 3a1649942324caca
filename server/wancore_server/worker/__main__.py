"""`python -m wancore_server.worker PARENT SOCKET DEVICE BEAT RESIDENT RANK DISABLED GROWTH LEAST`; for the
gateway."""

from __future__ import annotations

import logging
import os
import queue
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from wancore_server.child import die_with_parent, inherited_socket
from wancore_server.wire import wire_pb2
from wancore_server.worker.level import MemoryLevel
from wancore_server.worker.link import Link

if TYPE_CHECKING:
    from wancore_server.worker.attempt import WorkerAttempt


class Worker:
    """Takes one command after another; cancels and room reach the running attempt at once."""

    def __init__(
        self, link: Link, device: str, resident: int, disabled: tuple[str, ...], level: MemoryLevel
    ) -> None:
        from wancore.plugins import PluginManager
        from wancore.runtime.settings import load_settings
        from wancore_server.worker.attempt import WorkerAttempt
        from wancore_server.worker.runners import Runners
        from wancore_server.worker.session import WorkerSession

        self.link = link
        self.commands: queue.SimpleQueue[tuple[wire_pb2.ToWorker, WorkerAttempt | None]] = queue.SimpleQueue()
        settings = load_settings(device=device)
        plugins = PluginManager(settings.plugins, (*settings.disabled_plugins, *disabled))
        self.runners = Runners(settings, plugins, resident, level)
        if settings.models is not None or settings.model is not None:
            self.runners.warm()
        self.make_attempt, self.make_session = WorkerAttempt, WorkerSession
        self.attempt: WorkerAttempt | None = None  # the last one that came; leases tell which is meant

    def handle(self, message: wire_pb2.ToWorker) -> None:
        """On the listening thread."""
        if message.HasField("cancel"):
            if self.attempt is not None and self.attempt.lease == message.cancel.lease:
                self.attempt.cancel()
        elif message.HasField("live"):
            if isinstance(self.attempt, self.make_session) and self.attempt.lease == message.live.lease:
                self.attempt.take(message.live)
        elif message.HasField("room"):
            if self.attempt is not None and self.attempt.lease == message.room.lease:
                self.attempt.spool.give(message.room.total_bytes)
        else:
            attempt = None
            if message.HasField("run"):  # made here, so that a cancel right behind it finds it
                make = self.make_session if message.run.HasField("live") else self.make_attempt
                self.attempt = attempt = make(message.run, self.link, self.runners)
            self.commands.put((message, attempt))

    def work(self) -> None:
        self.link.be_patient(False)
        self.link.send(ready=wire_pb2.Ready(device=self.runners.device))
        while True:
            self.obey(*self.commands.get())

    def obey(self, message: wire_pb2.ToWorker, attempt: WorkerAttempt | None) -> None:
        if attempt is not None:  # the next one may have come as soon as this one has said its last word
            attempt.run()
            if attempt.out_of_memory:
                self.free_memory()
        elif message.HasField("load"):
            self.load(message.load.model)
        elif message.HasField("unload"):
            self.runners.drop(message.unload.model)
        elif message.HasField("load_lora"):
            self.load_lora(Path(message.load_lora.path))
        elif message.HasField("unload_lora"):
            self.runners.shelf.drop(Path(message.unload_lora.path))
        elif message.HasField("canary"):
            self.link.send(canary=wire_pb2.CanaryDone(good=canary(self.runners.device, message.canary)))
            return
        self.link.send(resident=wire_pb2.Resident(models=self.runners.models, loras=self.runners.loras))

    def load(self, model: str) -> None:
        from wancore.errors import WancoreError

        self.link.be_patient(True)
        try:
            self.runners.load(model)
        except WancoreError:
            logging.exception("model could not be loaded")
        finally:
            self.link.be_patient(False)

    def load_lora(self, path: Path) -> None:
        from wancore.errors import WancoreError

        self.link.be_patient(True)
        try:
            self.runners.shelf.hold(path)
        except (WancoreError, OSError):
            logging.exception("LoRA could not be read")
        finally:
            self.link.be_patient(False)

    def free_memory(self) -> None:
        import gc

        self.runners.drop_all()
        gc.collect()


def canary(device: str, message: wire_pb2.Canary) -> bool:
    """A little of the real path: compute on the device, write where frames are written."""
    try:
        if "torch" in sys.modules:
            import torch

            chosen = device if device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
            total = torch.ones(64, 64, device=chosen).sum().item()
            if total != 64 * 64:
                return False
        path = Path(message.scratch_path)
        path.write_bytes(b"canary")
        path.unlink()
    except Exception:
        logging.exception("canary failed")
        return False
    return True


def main() -> None:
    parent, descriptor, device, beat, resident, rank, disabled, growth, least = sys.argv[1:10]
    die_with_parent(int(parent))
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    link = Link(inherited_socket(int(descriptor)), float(beat))
    pid = os.getpid()
    link.start_beating()
    level = MemoryLevel(float(growth), int(least))
    worker = Worker(link, device, int(resident), tuple(filter(None, disabled.split(","))), level)
    if os.getpid() != pid:  # a plugin forked while it was imported
        os._exit(0)
    link.start_listening(worker.handle)
    if int(rank) == 0:
        worker.work()
    else:
        from wancore_server.worker.rank import follow

        follow(link)


if __name__ == "__main__":
    main()
