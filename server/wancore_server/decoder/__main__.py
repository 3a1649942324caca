"""`python -m wancore_server.decoder PARENT SOCKET FILE CLEAN PIXELS FRAMES MEMORY SECONDS`."""

from __future__ import annotations

import ctypes
import logging
import resource
import sys
from pathlib import Path

from wancore_server.child import die_with_parent, inherited_socket
from wancore_server.decoder.media import Limits, NotAccepted, decode
from wancore_server.wire import wire_pb2
from wancore_server.wire.framing import framed

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
MAX_FILES = 64
MAX_OUTPUT = 16 * 2**30


def confine(memory: int, seconds: int) -> None:
    """What a hostile file could use up is limited; where the kernel allows, the network is gone."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_FILES, MAX_FILES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_OUTPUT, MAX_OUTPUT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER | CLONE_NEWNET)


def main() -> None:
    parent, descriptor, file, clean, pixels, frames, memory, seconds = sys.argv[1:9]
    die_with_parent(int(parent))
    logging.basicConfig(level=logging.ERROR)
    connection = inherited_socket(int(descriptor))
    confine(int(memory), int(seconds))
    try:
        decoded = decode(Path(file), Path(clean), Limits(int(pixels), int(frames)))
    except NotAccepted as error:
        decoded = wire_pb2.Decoded(problem=str(error))
    except Exception as error:  # on hostile files decoders raise whatever goes wrong
        decoded = wire_pb2.Decoded(problem=f"this file cannot be decoded ({type(error).__name__})")
    connection.sendall(framed(decoded))


if __name__ == "__main__":
    main()
