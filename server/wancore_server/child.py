"""What every process of the gateway does first."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """No process may outlive its gateway, even one that is stuck in native code."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it was gone before we asked
        os._exit(1)


def inherited_socket(descriptor: int) -> socket.socket:
    """The gateway's socket; not passed on to processes that a plugin may start."""
    os.set_inheritable(descriptor, False)
    return socket.socket(fileno=descriptor)
