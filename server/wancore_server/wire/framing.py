"""Length-prefixed protobuf messages: four bytes, little endian, then the message."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TypeVar

from google.protobuf.message import Message

PREFIX = struct.Struct("<I")
MAX_MESSAGE = 64 * 2**20
M = TypeVar("M", bound=Message)


def framed(message: Message) -> bytes:
    data = message.SerializeToString()
    return PREFIX.pack(len(data)) + data


async def read_message(reader: asyncio.StreamReader, kind: type[M]) -> M | None:
    """The next message, or None at the end of the stream."""
    try:
        size = PREFIX.unpack(await reader.readexactly(PREFIX.size))[0]
        if size > MAX_MESSAGE:
            return None
        return kind.FromString(await reader.readexactly(size))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def receive(connection: socket.socket, kind: type[M]) -> M | None:
    """As `read_message`, blocking."""
    prefix = receive_exactly(connection, PREFIX.size)
    if prefix is None:
        return None
    data = receive_exactly(connection, PREFIX.unpack(prefix)[0])
    return None if data is None else kind.FromString(data)


def receive_exactly(connection: socket.socket, size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        try:
            piece = connection.recv(min(2**20, size - len(data)))
        except OSError:
            return None
        if not piece:
            return None
        data += piece
    return bytes(data)
