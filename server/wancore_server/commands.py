"""`wancore serve` and `wancore token`; imports nothing heavy until one is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wancore.plugins import hookimpl

WANCORE_API = (1, 1)


@hookimpl
def wancore_commands(app: typer.Typer) -> None:
    add_commands(app)


def add_commands(app: typer.Typer) -> None:
    app.command()(serve)
    app.command()(token)


def serve(
    address: Annotated[str | None, typer.Option(help="HOST:PORT or unix:PATH [127.0.0.1:50700]")] = None,
    data: Annotated[Path | None, typer.Option(help="token, store, spool, assets")] = None,
    metrics_address: Annotated[str | None, typer.Option(help="HOST:PORT of the metrics; empty: off")] = None,
    insecure_bind: Annotated[
        bool, typer.Option(help="allow an address beyond this machine without TLS")
    ] = False,
    tls_certificate: Annotated[Path | None, typer.Option(help="PEM chain")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM key")] = None,
    tls_client_ca: Annotated[Path | None, typer.Option(help="PEM roots that clients must show")] = None,
    models: Annotated[Path | None, typer.Option(help="folder tree of model files")] = None,
    model: Annotated[str | None, typer.Option(help="the model of requests that name none")] = None,
    device: Annotated[list[str] | None, typer.Option(help="one worker each [every GPU, else cpu]")] = None,
    vram: Annotated[
        str | None, typer.Option(metavar="16GB", help="memory of each GPU that may be used [what is free]")
    ] = None,
) -> None:
    """Run the server. More settings: WANCORE_SERVE_* and the table [serve] of wancore.toml."""
    import os

    from wancore.errors import WancoreError
    from wancore_server.main import serve as run
    from wancore_server.settings import load_server_settings

    for name, value in (("WANCORE_MODELS", models), ("WANCORE_MODEL", model), ("WANCORE_VRAM", vram)):
        if value is not None:
            os.environ[name] = str(value)  # the engine's own settings, for probe and workers
    try:
        settings = load_server_settings(
            address=address,
            data=data,
            metrics_address=metrics_address,
            insecure_bind=insecure_bind or None,
            tls_certificate=tls_certificate,
            tls_key=tls_key,
            tls_client_ca=tls_client_ca,
            devices=tuple(device) if device else None,
        )
    except WancoreError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    raise typer.Exit(run(settings))


def token(
    name: Annotated[str, typer.Argument(help="name of the caller; an old token of this name ends")],
    scope: Annotated[list[str] | None, typer.Option(help="read, generate, assets, admin")] = None,
    days: Annotated[float | None, typer.Option(help="how long it holds", min=0)] = None,
    data: Annotated[Path | None, typer.Option(help="the server's data folder")] = None,
) -> None:
    """Make a token for another caller, and print it once."""
    import asyncio
    import secrets

    from wancore_server.clock import SECOND, now_ns
    from wancore_server.security.tokens import SCOPES, digest
    from wancore_server.settings import default_data
    from wancore_server.store import Caller, SqliteStore

    scopes = frozenset(scope or ("read", "generate", "assets"))
    if unknown := scopes - SCOPES:
        typer.echo(f"error: scope: got {sorted(unknown)}; accepted: {', '.join(sorted(SCOPES))}", err=True)
        raise typer.Exit(1)
    path = (data or default_data()) / "store.db"
    if not path.exists():
        typer.echo(f"error: data: no server has used {path.parent}; start one first", err=True)
        raise typer.Exit(1)
    secret = secrets.token_urlsafe(32)
    expire = None if days is None else now_ns() + int(days * 86_400 * SECOND)

    async def put() -> None:
        store = SqliteStore(path)
        await store.put_caller(Caller(name, scopes, expire), digest(secret))
        await store.close()

    asyncio.run(put())
    typer.echo(secret)
