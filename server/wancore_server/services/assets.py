"""AssetService."""

from __future__ import annotations

from collections.abc import AsyncIterator

from google.protobuf import empty_pb2
from google.rpc import code_pb2
from wancore_proto.v1 import asset_service_pb2 as pb
from wancore_proto.v1 import asset_service_pb2_grpc, job_pb2

from wancore_server import names
from wancore_server.assets.keeper import AssetKeeper, Piece, asset_message
from wancore_server.errors import ApiError, invalid_field, limit_exceeded, not_found
from wancore_server.jobs.ledger import Ledger
from wancore_server.security.tokens import current_caller
from wancore_server.services.context import Context

MAX_CHECKED = 1000
MAX_PIECE = 3 * 2**20


class AssetServicer(asset_service_pb2_grpc.AssetServiceServicer):
    """Callers see the assets that they uploaded."""

    def __init__(self, keeper: AssetKeeper, ledger: Ledger) -> None:
        self.keeper, self.ledger = keeper, ledger

    async def CheckAssets(self, request: pb.CheckAssetsRequest, context: Context) -> pb.CheckAssetsResponse:
        if len(request.names) > MAX_CHECKED:
            raise limit_exceeded("names", MAX_CHECKED, len(request.names))
        digests = [names.asset_digest(name, f"names[{i}]") for i, name in enumerate(request.names)]
        found = await self.keeper.store.assets(current_caller.get().name, digests)
        missing = dict.fromkeys(f"assets/{d}" for d in digests if d not in found)
        return pb.CheckAssetsResponse(missing=missing)

    async def UploadAsset(self, requests: AsyncIterator[pb.UploadAssetRequest], context: Context) -> pb.Asset:
        first = await anext(aiter(requests), None)
        if first is None or not first.HasField("header"):
            raise invalid_field("header", "must be in the first message")
        digest = names.asset_digest(first.header.name, "header.name")
        row = await self.keeper.upload(
            current_caller.get().name, digest, first.header.size_bytes, pieces(first, requests)
        )
        return asset_message(row)

    async def GetUpload(self, request: pb.GetUploadRequest, context: Context) -> pb.Upload:
        digest, owner = names.asset_digest(request.name), current_caller.get().name
        found = (await self.keeper.store.assets(owner, [digest])).get(digest)
        if found is not None:
            return pb.Upload(name=request.name, offset_bytes=found.size, complete=True)
        return pb.Upload(name=request.name, offset_bytes=self.keeper.reached(owner, digest))

    async def GetAsset(self, request: pb.GetAssetRequest, context: Context) -> pb.Asset:
        digest = names.asset_digest(request.name)
        found = (await self.keeper.store.assets(current_caller.get().name, [digest])).get(digest)
        if found is None:
            raise not_found("Asset", request.name)
        return asset_message(found)

    async def DeleteAsset(self, request: pb.DeleteAssetRequest, context: Context) -> empty_pb2.Empty:
        digest, owner = names.asset_digest(request.name), current_caller.get().name
        if not await self.keeper.store.assets(owner, [digest]):
            raise not_found("Asset", request.name)
        users = [live for live in self.ledger.lives.values() if not live.final and live.owner == owner]
        for live in users:
            if request.name in inputs_of(live.info.spec):
                job = f"jobs/{live.id}"
                raise ApiError(
                    code_pb2.FAILED_PRECONDITION, "ASSET_IN_USE", f"{job} still needs it", {"job": job}
                )
        await self.keeper.delete(owner, digest)
        return empty_pb2.Empty()


def inputs_of(spec: job_pb2.JobSpec) -> set[str]:
    """Names of the assets that a job reads."""
    attached = (name for use in spec.attachments for name in use.inputs.values())
    return {*spec.inputs.values(), *attached}


async def pieces(
    first: pb.UploadAssetRequest, rest: AsyncIterator[pb.UploadAssetRequest]
) -> AsyncIterator[Piece]:
    """Raises `ApiError` for a message that is out of form."""
    if first.data:
        yield Piece(first.offset_bytes, first.data)
    async for request in rest:
        if request.HasField("header"):
            raise invalid_field("header", "must be in the first message only")
        if len(request.data) > MAX_PIECE:
            raise limit_exceeded("data", MAX_PIECE, len(request.data))
        yield Piece(request.offset_bytes, request.data)
