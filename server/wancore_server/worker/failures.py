"""What a failed attempt is called."""

from __future__ import annotations

import errno
import sys
from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message
from google.rpc import code_pb2, status_pb2

from wancore.errors import CheckpointError, Conflict, InvalidInput, MemoryShortage, PluginError, WancoreError
from wancore.live import BlockFailed, LiveClosed
from wancore_server.errors import ApiError, invalid, invalid_field
from wancore_server.jobs.fields import violation, without_paths
from wancore_server.worker.spoolfile import SinkStalled

Fields = Mapping[str, Any]


def status_of(
    error: BaseException, plugin: str, version: str, request: Mapping[str, Any]
) -> status_pb2.Status:
    """The job's error. File paths stay here: texts with one are rewritten. `request`: the engine's fields."""
    return api_error(error, plugin, version, request).status()


def api_error(error: BaseException, plugin: str, version: str, request: Fields) -> ApiError:
    if isinstance(error, InvalidInput):
        return invalid([violation(error, request)])
    if isinstance(error, CheckpointError):
        name = error.path.name
        text = f"{name}: {without_paths(error.problem)}"
        return ApiError(code_pb2.FAILED_PRECONDITION, "CHECKPOINT_UNUSABLE", text, {"file": name})
    if isinstance(error, Conflict):
        return invalid_field("spec.attachments", without_paths(str(error)))
    if isinstance(error, SinkStalled):
        return ApiError(
            code_pb2.RESOURCE_EXHAUSTED, "SINK_STALLED", "there was no room for the frames in time"
        )
    short = error.cause if isinstance(error, BlockFailed) else error
    if isinstance(short, MemoryShortage):
        return shortage(short)
    if isinstance(error, LiveClosed):
        return ApiError(code_pb2.ABORTED, "LEASE_LOST", str(error))
    if isinstance(error, BlockFailed) and not is_out_of_memory(error.cause):
        metadata = {"block": str(error.block), "plugin": plugin, "exception": type(error.cause).__name__}
        return ApiError(code_pb2.INTERNAL, "BLOCK_FAILED", f"block {error.block} failed twice", metadata)
    if isinstance(error, BlockFailed) or is_out_of_memory(error):
        return out_of_memory()
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ApiError(code_pb2.RESOURCE_EXHAUSTED, "DISK_FULL", "the disk is full")
    if isinstance(error, WancoreError) and not isinstance(error, PluginError):
        return ApiError(code_pb2.FAILED_PRECONDITION, "CANNOT_RUN", without_paths(str(error)))
    metadata = {"plugin": plugin, "version": version, "exception": type(error).__name__}
    text = f"the plugin {plugin or '(core)'} raised {type(error).__name__}"
    return ApiError(code_pb2.INTERNAL, "PLUGIN_ERROR", text, metadata)


def shortage(error: MemoryShortage) -> ApiError:
    """What the engine knows of memory that a request does not fit into, after its second attempt."""
    known = {"needed_bytes": error.needed, "free_bytes": error.free}
    metadata = {name: str(count) for name, count in known.items() if count is not None}
    metadata["would_fit"] = error.would_fit
    return ApiError(code_pb2.RESOURCE_EXHAUSTED, "GPU_OUT_OF_MEMORY", str(error), metadata)


def is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or type(error).__name__ in ("OutOfMemoryError", "AcceleratorError")


def out_of_memory() -> ApiError:
    """`needed_bytes` and `free_bytes` where the device tells."""
    metadata = {"would_fit": "fewer frames, a smaller size, or overlapping windows"}
    torch = sys.modules.get("torch")  # never imported for this: memory is short
    if torch is not None and torch.cuda.is_initialized():
        try:
            metadata["free_bytes"] = str(torch.cuda.mem_get_info()[0])
        except Exception:  # a device that is broken cannot tell
            metadata["free_bytes"] = "unknown"
    details: tuple[Message, ...] = ()
    text = f"memory ran out; {metadata['would_fit']} may do"
    return ApiError(code_pb2.RESOURCE_EXHAUSTED, "GPU_OUT_OF_MEMORY", text, metadata, details)
