"""How the gateway keeps memory between frames."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)
BLOCK_BYTES = 16 * 2**20  # blocks below this come from the heap; a message is at most 4 MiB
KEEP_BYTES = 64 * 2**20  # free memory at the heap's end that is not given back


def keep_freed_memory() -> None:
    """Lets glibc reuse the memory of one frame for the next.

    As it comes, it maps every large block anew and gives it back at once, so each frame costs a page
    fault for every 4 KiB of each of its copies: two thirds of the processor time of a stream. Elsewhere
    than on glibc this does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, BLOCK_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEEP_BYTES)
