"""CatalogService."""

from __future__ import annotations

from wancore_proto.v1 import catalog_service_pb2 as pb
from wancore_proto.v1 import catalog_service_pb2_grpc

from wancore_server import __version__
from wancore_server.catalog.catalog import Catalog
from wancore_server.services.context import Context
from wancore_server.services.paging import page_of
from wancore_server.settings import ServerSettings
from wancore_server.workers.slot import Slot

CAPABILITIES = (
    "assets.upload",
    "frames.h264-annex-b",
    "frames.h264-fmp4",
    "frames.jpeg",
    "frames.png",
    "frames.raw",
    "jobs.loras",
    "jobs.previews",
    "resume.frames",
    "session.audio-in",
)


class CatalogServicer(catalog_service_pb2_grpc.CatalogServiceServicer):
    """Answers from what the probe found."""

    def __init__(self, catalog: Catalog, settings: ServerSettings, slots: list[Slot]) -> None:
        self.catalog, self.settings, self.slots = catalog, settings, slots

    async def GetServerInfo(self, request: pb.GetServerInfoRequest, context: Context) -> pb.ServerInfo:
        s = self.settings
        limits = pb.Limits(
            message_bytes=s.message_bytes, asset_bytes=s.asset_bytes, image_pixels=s.image_pixels,
            video_frames=s.video_frames, prompt_bytes=s.prompt_bytes, parameter_bytes=s.parameter_bytes,
            parameter_depth=s.parameter_depth, connection_streams=s.connection_streams,
        )  # fmt: skip
        return pb.ServerInfo(
            version=__version__,
            api_versions=["v1", "v1alpha"],
            capabilities=CAPABILITIES,
            solvers=self.catalog.found.solvers,
            methods=self.catalog.found.methods,
            limits=limits,
        )

    async def ListFamilies(
        self, request: pb.ListFamiliesRequest, context: Context
    ) -> pb.ListFamiliesResponse:
        self.catalog.require_ready()
        families, token = page_of(self.catalog.found.families, request.page_size, request.page_token)
        response = pb.ListFamiliesResponse(families=families, next_page_token=token)
        for family in response.families:
            family.ClearField("parameter_schema")
        return response

    async def GetFamily(self, request: pb.GetFamilyRequest, context: Context) -> pb.Family:
        return self.catalog.family(request.name)

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:
        self.catalog.require_ready()
        files, token = page_of(self.catalog.found.models, request.page_size, request.page_token)
        response = pb.ListModelsResponse(models=[f.model for f in files], next_page_token=token)
        up = any(slot.takes("") for slot in self.slots)
        for model, file in zip(response.models, files, strict=True):
            model.serving = up
            model.resident_on.extend(f"workers/{s.id}" for s in self.slots if file.engine_name in s.models)
        return response

    async def ListLoras(self, request: pb.ListLorasRequest, context: Context) -> pb.ListLorasResponse:
        self.catalog.require_ready()
        await self.catalog.loras.look()
        files, token = page_of(self.catalog.loras.files, request.page_size, request.page_token)
        response = pb.ListLorasResponse(loras=[f.lora for f in files], next_page_token=token)
        for lora, file in zip(response.loras, files, strict=True):
            lora.resident_on.extend(f"workers/{s.id}" for s in self.slots if file.path in s.loras)
        return response

    async def ListPlugins(self, request: pb.ListPluginsRequest, context: Context) -> pb.ListPluginsResponse:
        self.catalog.require_ready()
        plugins, token = page_of(self.catalog.found.plugins, request.page_size, request.page_token)
        return pb.ListPluginsResponse(plugins=plugins, next_page_token=token)
