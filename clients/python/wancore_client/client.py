"""The client."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import google_crc32c
import grpc
from wancore_proto.v1 import (
    admin_service_pb2,
    admin_service_pb2_grpc,
    asset_service_pb2_grpc,
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    job_pb2,
    job_service_pb2,
    job_service_pb2_grpc,
)
from wancore_proto.v1alpha import session_service_pb2 as session_pb
from wancore_proto.v1alpha import session_service_pb2_grpc

from wancore_client.attachments import attachments
from wancore_client.connection import UNARY_S, Connection, connection
from wancore_client.errors import FrameDamaged, api_error
from wancore_client.generation import Generation
from wancore_client.loras import resolve
from wancore_client.session import Session
from wancore_client.spec import encoding as encoding_value
from wancore_client.spec import job_spec, resource
from wancore_client.stream import Events
from wancore_client.upload import upload

OnEvent = Callable[[job_pb2.JobEvent], None]


class Client:
    """A connection to a server; safe to use from several threads.

    Address and token default to `WANCORE_ADDRESS` and `WANCORE_TOKEN`, else to a server on this machine.
    Further keywords are those of `Connection`. Methods raise `ApiError` and its kinds.
    """

    def __init__(
        self, address: str | None = None, token: str | None = None, *, tls: bool = False,
        root_certificates: bytes | None = None, **others: float,
    ) -> None:  # fmt: skip
        self.connection: Connection = connection(address, token, root_certificates, tls, **others)
        self.calls = self.connection.channel()
        self.streams = self.connection.channel()  # frames must not hold up calls
        self.job_calls = job_service_pb2_grpc.JobServiceStub(self.calls)
        self.job_streams = job_service_pb2_grpc.JobServiceStub(self.streams)
        self.asset_calls = asset_service_pb2_grpc.AssetServiceStub(self.streams)
        self.admin_calls = admin_service_pb2_grpc.AdminServiceStub(self.calls)
        self.session_calls = session_service_pb2_grpc.SessionServiceStub(self.calls)
        self.catalog_calls = catalog_service_pb2_grpc.CatalogServiceStub(self.calls)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.calls.close()
        self.streams.close()

    def call(self, method: Callable[..., Any], request: Any) -> Any:
        """A unary call with its deadline; errors typed."""
        try:
            return method(request, timeout=UNARY_S, metadata=self.connection.metadata)
        except grpc.RpcError as error:
            raise api_error(error) from error

    def generate(
        self,
        prompt: str = "",
        *,
        encoding: str = "raw",
        latest: bool = False,
        inputs: Mapping[str, str | Path] | None = None,
        on_event: OnEvent | None = None,
        **request: Any,
    ) -> Generation:
        """Frames of a new job, as they are made; see `spec.job_spec` for the other keywords.

        `encoding`: raw, png, jpeg, h264-fmp4, h264-annex-b; `latest`: skip rather than lag; `inputs`:
        role -> file (uploaded first) or asset name. Stop iterating, and the server cancels the job after
        its grace; `Generation.cancel` does so at once.
        """
        spec = self.spec(prompt, inputs, request)
        view = self.view(encoding, latest)
        first = job_service_pb2.GenerateRequest(spec=spec, request_id=str(uuid.uuid4()), view=view)
        job = ""

        def seen(event: job_pb2.JobEvent) -> None:
            nonlocal job
            if event.WhichOneof("event") == "header":
                job = event.header.job
            if on_event is not None:
                on_event(event)

        def call(cursor: job_service_pb2.Cursor | None) -> Iterator[job_pb2.JobEvent]:
            if not job:  # with the request id, a second call finds the job of the first
                return self.job_streams.Generate(first, metadata=self.connection.metadata)
            return self.watching(job, view, cursor or job_service_pb2.Cursor(after_sequence=0))

        return Generation(Events(self.connection, call, None), self.cancel, seen, self.read_artifact)

    def session(
        self,
        prompt: str = "",
        *,
        live: Sequence[str] = (),
        lead: int = 0,
        encoding: str = "raw",
        acknowledge: bool = True,
        inputs: Mapping[str, str | Path] | None = None,
        **request: Any,
    ) -> Session:
        """A live session: `push` sound while it is spoken, and iterate over `frames()` as they come.

        `live`: inputs that arrive live, by default the family's first; `lead`: blocks that the server may
        make beyond those shown, 1 to 3, by default 2. Other keywords are those of `generate`. Leaving its
        `with` block ends the session.
        """
        spec = job_spec(prompt, inputs=self.uploaded(inputs), **request)
        asked = session_pb.CreateSessionRequest(spec=spec, live_inputs=live, max_lead_blocks=lead)
        made = self.call(self.session_calls.CreateSession, asked)
        return Session(
            self.connection, self.streams, made, encoding_value(encoding), acknowledge, self.end_session
        )

    def get_session(self, name: str) -> session_pb.Session:
        request = session_pb.GetSessionRequest(name=resource("sessions", name))
        session: session_pb.Session = self.call(self.session_calls.GetSession, request)
        return session

    def end_session(self, name: str) -> session_pb.Session:
        request = session_pb.EndSessionRequest(name=resource("sessions", name))
        session: session_pb.Session = self.call(self.session_calls.EndSession, request)
        return session

    def watch(
        self, job: str, *, encoding: str = "raw", latest: bool = False, from_frame: int | None = None,
        from_start: bool = True, frames: bool = True, on_event: OnEvent | None = None,
    ) -> Generation:  # fmt: skip
        """Follows a job: from its first event, from a frame on, or (`from_start=False`) from now on."""
        view = self.view(encoding, latest)
        view.without_frames = not frames
        cursor: job_service_pb2.Cursor | None = None
        if from_frame is not None:
            cursor = job_service_pb2.Cursor(from_frame=from_frame)
        elif from_start:
            cursor = job_service_pb2.Cursor(after_sequence=0)
        name = resource("jobs", job)

        def call(cursor: job_service_pb2.Cursor | None) -> Iterator[job_pb2.JobEvent]:
            return self.watching(name, view, cursor)

        return Generation(Events(self.connection, call, cursor), self.cancel, on_event, self.read_artifact)

    def watching(
        self, job: str, view: job_service_pb2.View, cursor: job_service_pb2.Cursor | None
    ) -> Iterator[job_pb2.JobEvent]:
        request = job_service_pb2.WatchJobRequest(name=job, view=view, cursor=cursor)
        stream: Iterator[job_pb2.JobEvent] = self.job_streams.WatchJob(
            request, metadata=self.connection.metadata
        )
        return stream

    def view(self, encoding: str, latest: bool) -> job_service_pb2.View:
        mode = job_service_pb2.DELIVERY_MODE_LATEST if latest else job_service_pb2.DELIVERY_MODE_ALL
        return job_service_pb2.View(encoding=encoding_value(encoding), mode=mode)

    def spec(
        self, prompt: str, inputs: Mapping[str, str | Path] | None, request: Mapping[str, Any]
    ) -> job_pb2.JobSpec:
        """A request whose files, those of attachments too, are uploaded and whose LoRAs have their names."""
        given = {**request, "attachments": ()}
        spec = job_spec(prompt, inputs=self.uploaded(inputs), **given)
        spec.attachments.extend(attachments(request.get("attachments", ()), self.uploaded))
        resolve(spec.loras, self.loras)
        return spec

    def uploaded(self, inputs: Mapping[str, str | Path] | None) -> dict[str, str]:
        """Files of inputs as assets; names of assets stay."""
        return {
            role: value if isinstance(value, str) and value.startswith("assets/") else self.upload(value)
            for role, value in (inputs or {}).items()
        }

    def create(
        self, prompt: str = "", *, inputs: Mapping[str, str | Path] | None = None,
        request_id: str | None = None,
        validate_only: bool = False, **request: Any,
    ) -> job_pb2.Job:  # fmt: skip
        """Queues a job without following it; keywords as for `generate`."""
        spec = self.spec(prompt, inputs, request)
        message = job_service_pb2.CreateJobRequest(
            spec=spec, request_id=request_id or str(uuid.uuid4()), validate_only=validate_only
        )
        job: job_pb2.Job = self.call(self.job_calls.CreateJob, message)
        return job

    def job(self, name: str) -> job_pb2.Job:
        job: job_pb2.Job = self.call(
            self.job_calls.GetJob, job_service_pb2.GetJobRequest(name=resource("jobs", name))
        )
        return job

    def jobs(self) -> Iterator[job_pb2.Job]:
        """All jobs of this caller, newest first."""
        request = job_service_pb2.ListJobsRequest()
        while True:
            page = self.call(self.job_calls.ListJobs, request)
            yield from page.jobs
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def cancel(self, name: str) -> job_pb2.Job:
        request = job_service_pb2.CancelJobRequest(name=resource("jobs", name))
        job: job_pb2.Job = self.call(self.job_calls.CancelJob, request)
        return job

    def delete(self, name: str) -> None:
        """Deletes a job that has ended, with its frames."""
        self.call(self.job_calls.DeleteJob, job_service_pb2.DeleteJobRequest(name=resource("jobs", name)))

    def read_artifact(self, name: str, offset: int = 0) -> Iterator[bytes]:
        """The bytes of a file that a job made, from `offset` on. Raises `FrameDamaged`."""
        request = job_service_pb2.ReadArtifactRequest(name=name, offset_bytes=offset)
        try:
            for piece in self.job_streams.ReadArtifact(request, metadata=self.connection.metadata):
                if google_crc32c.value(piece.data) != piece.crc32c:
                    raise FrameDamaged(f"{name}: the checksum at byte {piece.offset_bytes} does not match")
                yield piece.data
        except grpc.RpcError as error:
            raise api_error(error) from error

    def upload(self, path: str | Path) -> str:
        """Uploads a file unless the server has it; its asset name."""
        return upload(self.asset_calls, self.connection, Path(path))

    def server_info(self) -> catalog_service_pb2.ServerInfo:
        info: catalog_service_pb2.ServerInfo = self.call(
            self.catalog_calls.GetServerInfo, catalog_service_pb2.GetServerInfoRequest()
        )
        return info

    def families(self) -> list[catalog_service_pb2.Family]:
        return list(
            self.pages(self.catalog_calls.ListFamilies, catalog_service_pb2.ListFamiliesRequest(), "families")
        )

    def family(self, id: str) -> catalog_service_pb2.Family:
        """One family, with the JSON Schema of its parameters."""
        request = catalog_service_pb2.GetFamilyRequest(name=resource("families", id))
        family: catalog_service_pb2.Family = self.call(self.catalog_calls.GetFamily, request)
        return family

    def models(self) -> list[catalog_service_pb2.Model]:
        return list(
            self.pages(self.catalog_calls.ListModels, catalog_service_pb2.ListModelsRequest(), "models")
        )

    def loras(self) -> list[catalog_service_pb2.Lora]:
        """The LoRAs that a request can name, as they lie in the server's folder now."""
        return list(self.pages(self.catalog_calls.ListLoras, catalog_service_pb2.ListLorasRequest(), "loras"))

    def load_lora(self, name: str, worker: str = "") -> list[str]:
        """Has workers (all, or one) read a LoRA into memory; their names. Needs the scope admin."""
        request = admin_service_pb2.LoadLoraRequest(
            lora=resource("loras", name), worker=resource("workers", worker)
        )
        return list(self.call(self.admin_calls.LoadLora, request).workers)

    def unload_lora(self, name: str) -> list[str]:
        """Has workers drop a LoRA from memory; their names. Needs the scope admin."""
        request = admin_service_pb2.UnloadLoraRequest(lora=resource("loras", name))
        return list(self.call(self.admin_calls.UnloadLora, request).workers)

    def plugins(self) -> list[catalog_service_pb2.Plugin]:
        return list(
            self.pages(self.catalog_calls.ListPlugins, catalog_service_pb2.ListPluginsRequest(), "plugins")
        )

    def pages(self, method: Callable[..., Any], request: Any, field: str) -> Iterator[Any]:
        while True:
            page = self.call(method, request)
            yield from getattr(page, field)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token
