"""Uploading files: named by their content, resumed where an upload broke."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
from wancore_proto.v1 import asset_service_pb2 as pb
from wancore_proto.v1 import asset_service_pb2_grpc

from wancore_client.connection import UNARY_S, Connection
from wancore_client.errors import WancoreClientError, api_error
from wancore_client.stream import BROKEN

PIECE = 2**20
FIRST_WAIT_S, MOST_WAIT_S = 0.2, 5.0


def asset_name(path: Path) -> str:
    """`assets/sha256-{hex}` of a file. Raises `WancoreClientError`."""
    try:
        with path.open("rb") as file:
            return f"assets/sha256-{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError as error:
        raise WancoreClientError(f"{path}: {error.strerror}") from error


def upload(stub: asset_service_pb2_grpc.AssetServiceStub, connection: Connection, path: Path) -> str:
    """The asset's name; nothing is sent where the server has it already.

    A broken upload is gone on with until nothing has arrived for the connection's `patience_s`.
    """
    name, meta = asset_name(path), connection.metadata
    reached, since, wait = -1, time.monotonic(), FIRST_WAIT_S
    while True:
        try:
            there = stub.GetUpload(pb.GetUploadRequest(name=name), timeout=UNARY_S, metadata=meta)
            if there.complete:
                return name
            if there.offset_bytes > reached:
                reached, since, wait = there.offset_bytes, time.monotonic(), FIRST_WAIT_S
            stub.UploadAsset(pieces(path, name, there.offset_bytes), metadata=meta)
            return name
        except grpc.RpcError as error:
            told = api_error(error)
            late = time.monotonic() - since > connection.patience_s
            if told.reason or error.code() not in BROKEN or late:
                told.args = (f"{path.name}: {told}",)
                raise told from error
            time.sleep(wait)
            wait = min(2 * wait, MOST_WAIT_S)


def pieces(path: Path, name: str, offset: int) -> Iterator[pb.UploadAssetRequest]:
    header = pb.UploadHeader(name=name, size_bytes=path.stat().st_size)
    yield pb.UploadAssetRequest(header=header)
    with path.open("rb") as file:
        file.seek(offset)
        while data := file.read(PIECE):
            yield pb.UploadAssetRequest(offset_bytes=offset, data=data)
            offset += len(data)
