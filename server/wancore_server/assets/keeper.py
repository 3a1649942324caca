"""Uploads and assets on the disk."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from weakref import WeakValueDictionary

from google.rpc import code_pb2
from wancore_proto.v1 import asset_service_pb2

from wancore_server import failpoints
from wancore_server.assets.inspect import inspect
from wancore_server.clock import now_ns
from wancore_server.errors import ApiError, exhausted, invalid_field, limit_exceeded
from wancore_server.folder import DataFolder
from wancore_server.settings import ServerSettings
from wancore_server.store import AssetRow, Store

CLEAN = ".clean"  # beside an asset: the same picture or video as our own decoder wrote it
CHUNK = 2**20


@dataclass(frozen=True)
class Piece:
    """Bytes of an upload and where they start."""

    offset: int
    data: bytes


class AssetKeeper:
    """One upload of an asset at a time per caller; a second one waits, and finds it done."""

    def __init__(self, store: Store, folder: DataFolder, settings: ServerSettings) -> None:
        self.store, self.folder, self.settings = store, folder, settings
        self.locks = WeakValueDictionary[str, asyncio.Lock]()

    def partial(self, owner: str, digest: str) -> Path:
        return self.folder.uploads / f"{hashlib.sha256(owner.encode()).hexdigest()[:16]}-{digest}"

    def reached(self, owner: str, digest: str) -> int:
        """Bytes of an unfinished upload that are here."""
        path = self.partial(owner, digest)
        return path.stat().st_size if path.exists() else 0

    async def upload(self, owner: str, digest: str, size: int, pieces: AsyncIterator[Piece]) -> AssetRow:
        """Takes an upload, from wherever it stands. Raises `ApiError`; what arrived in order stays."""
        if size > self.settings.asset_bytes:
            raise limit_exceeded("header.size_bytes", self.settings.asset_bytes, size)
        if size < 1:
            raise invalid_field("header.size_bytes", "at least 1")
        path = self.partial(owner, digest)
        lock = self.locks.setdefault(path.name, asyncio.Lock())
        async with lock:
            found = (await self.store.assets(owner, [digest])).get(digest)
            if found is not None:
                return found
            await self.check_room(size)
            await self.receive(path, size, pieces)
            return await self.finish(owner, digest, size, path)

    async def check_room(self, size: int) -> None:
        if await self.store.asset_total() + size > self.settings.store_bytes:
            raise exhausted("QUOTA_EXCEEDED", "the asset store is full", "assets", 60)
        low = await asyncio.to_thread(self.folder.low, self.settings.free_bytes, self.settings.free_share)
        if low:
            raise exhausted("DISK_LOW", "the disk of the server is nearly full", "disk", 60)

    async def receive(self, path: Path, size: int, pieces: AsyncIterator[Piece]) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            reached = os.fstat(descriptor).st_size
            async for piece in pieces:
                if piece.offset > reached:
                    raise invalid_field(
                        "offset_bytes", f"a gap: {reached} bytes are here, this starts at {piece.offset}"
                    )
                fresh = piece.data[reached - piece.offset :]
                if reached + len(fresh) > size:
                    path.unlink(missing_ok=True)
                    raise mismatch(f"more than the {size} bytes of the header")
                try:
                    await asyncio.to_thread(os.write, descriptor, fresh)
                except OSError as error:
                    os.ftruncate(descriptor, reached)
                    raise exhausted("DISK_LOW", "the disk of the server is full", "disk", 60) from error
                reached += len(fresh)
        finally:
            if not os.fstat(descriptor).st_size:  # a header without data leaves nothing behind
                path.unlink(missing_ok=True)
            os.close(descriptor)

    async def finish(self, owner: str, digest: str, size: int, path: Path) -> AssetRow:
        """Raises `DIGEST_MISMATCH`, `ASSET_UNREADABLE`."""
        reached = self.reached(owner, digest)
        if reached < size:
            raise mismatch(f"{reached} bytes have arrived, the header says {size}; go on from there")
        if f"sha256-{await asyncio.to_thread(file_digest, path)}" != digest:
            path.unlink()
            raise mismatch("the bytes have another digest than the name says")
        known = await self.store.any_asset(digest)
        if known is None:
            try:
                known = await self.accept(digest, size, path)
            except ApiError:
                path.unlink(missing_ok=True)
                raise
        else:
            path.unlink()
        await self.store.put_asset(known, owner)
        return known

    async def accept(self, digest: str, size: int, path: Path) -> AssetRow:
        """Looks into the file, and puts it where assets are."""
        clean = self.folder.scratch / (digest + CLEAN)
        found = await inspect(path, clean, self.settings)
        target = self.folder.assets / digest
        await asyncio.to_thread(sync, path)
        if clean.exists():
            await asyncio.to_thread(sync, clean)
            clean.replace(self.clean_path(digest))
        path.replace(target)
        failpoints.reach("asset-before-row")
        return AssetRow(digest, size, found.kind, found.width, found.height, found.frame_count, now_ns())

    def clean_path(self, digest: str) -> Path:
        return self.folder.assets / (digest + CLEAN)

    def path(self, digest: str) -> Path:
        """What a worker reads."""
        clean = self.clean_path(digest)
        return clean if clean.exists() else self.folder.assets / digest

    async def drop_orphans(self) -> None:
        """At start: files that an earlier gateway had moved here, or had not removed, when it died."""
        known = await self.store.asset_digests()
        for path in self.folder.assets.iterdir():
            if path.name.removesuffix(CLEAN) not in known:
                path.unlink()

    async def delete(self, owner: str, digest: str) -> None:
        if await self.store.disown_asset(digest, owner):
            failpoints.reach("asset-after-row")
            for path in (self.folder.assets / digest, self.clean_path(digest)):
                path.unlink(missing_ok=True)


def mismatch(text: str) -> ApiError:
    return ApiError(code_pb2.DATA_LOSS, "DIGEST_MISMATCH", text)


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def asset_message(row: AssetRow) -> asset_service_pb2.Asset:
    asset = asset_service_pb2.Asset(
        name=f"assets/{row.digest}", size_bytes=row.size, kind=cast(Any, row.kind), width=row.width,
        height=row.height,
        frame_count=row.frames,
    )  # fmt: skip
    asset.create_time.FromNanoseconds(row.created)
    return asset
