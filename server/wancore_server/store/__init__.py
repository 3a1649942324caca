"""What must survive a restart: jobs, their events, assets, callers."""

from wancore_server.store.model import (
    AssetRow,
    Block,
    Caller,
    Event,
    Frames,
    JobRow,
    NewJob,
    RequestIdReused,
    Store,
    StoreBusy,
    StoreLost,
)
from wancore_server.store.sqlite import SqliteStore

__all__ = [
    "AssetRow",
    "Block",
    "Caller",
    "Event",
    "Frames",
    "JobRow",
    "NewJob",
    "RequestIdReused",
    "SqliteStore",
    "Store",
    "StoreBusy",
    "StoreLost",
]
