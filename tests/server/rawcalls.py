"""Calls with bytes as a test wants them, to any method of the server."""

from __future__ import annotations

import grpc
from wancore_client import Client
from wancore_client.errors import api_error
from wancore_proto.v1 import (
    admin_service_pb2,
    asset_service_pb2,
    catalog_service_pb2,
    job_service_pb2,
)

SERVICES = [
    job_service_pb2.DESCRIPTOR.services_by_name["JobService"],
    asset_service_pb2.DESCRIPTOR.services_by_name["AssetService"],
    catalog_service_pb2.DESCRIPTOR.services_by_name["CatalogService"],
    admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"],
]

METHODS = [method for service in SERVICES for method in service.methods if method.name != "Drain"]


def raw_call(
    client: Client, method: str, data: bytes, metadata: object = None, stream: bool = False
) -> bytes:
    """A call with these very bytes; the status as an `ApiError` where it is refused."""
    call = (client.calls.unary_stream if stream else client.calls.unary_unary)(method, None, None)
    chosen = client.connection.metadata if metadata is None else metadata
    try:
        answer = call(data, timeout=5, metadata=chosen)
        if not stream:
            return bytes(answer)
        first = next(answer, b"")
        answer.cancel()
        return bytes(first)
    except grpc.RpcError as error:
        raise api_error(error) from error
