"""Client of the wancore server: `Client` and `AsyncClient`."""

from wancore_client.aio import AsyncClient, AsyncGeneration, AsyncSession
from wancore_client.client import Client
from wancore_client.errors import (
    ApiError,
    ConnectionLost,
    FrameDamaged,
    InternalError,
    InvalidRequest,
    JobCancelled,
    JobFailed,
    NotAuthorised,
    NotFound,
    Refused,
    SessionEnded,
    Unavailable,
    WancoreClientError,
)
from wancore_client.frames import ENCODINGS, Fragment, Frame
from wancore_client.generation import Generation
from wancore_client.session import Session

__version__ = "0.1.0"

__all__ = [
    "ENCODINGS",
    "ApiError",
    "AsyncClient",
    "AsyncGeneration",
    "AsyncSession",
    "Client",
    "ConnectionLost",
    "Fragment",
    "Frame",
    "FrameDamaged",
    "Generation",
    "InternalError",
    "InvalidRequest",
    "JobCancelled",
    "JobFailed",
    "NotAuthorised",
    "NotFound",
    "Refused",
    "Session",
    "SessionEnded",
    "Unavailable",
    "WancoreClientError",
]
