"""`wancore inspect`: what a checkpoint is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from wancore.plugins import plugin_manager

if TYPE_CHECKING:
    from wancore.checkpoints.report import Contents, Identity, Report


def add_to(app: typer.Typer) -> None:
    app.command("inspect")(inspect)


def inspect(
    path: Annotated[Path, typer.Argument(help="a checkpoint file or folder")],
    as_json: Annotated[bool, typer.Option("--json", help="machine-readable")] = False,
) -> None:
    """Say what a checkpoint is: its family, size and format, and what is missing."""
    from wancore.checkpoints.inspect import inspect as look

    report = look(path, [family for _, family in plugin_manager().collect("wancore_families")])
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=1))
    else:
        show(report, Console(highlight=False))


def show(report: Report, console: Console) -> None:
    """One table for each checkpoint; the parts of a folder after the folder."""
    table = Table(title=str(report.path), title_justify="left", box=None, show_header=False)
    for name, value in rows(report):
        table.add_row(name, value)
    console.print(table, soft_wrap=True)
    for label, part in (report.parts or {}).items():
        console.print(f"\n{label}:", style="bold")
        show(part, console)


def rows(report: Report) -> list[tuple[str, str]]:
    found = [("is", report.what), ("container", report.container)]
    if report.identity is not None:
        found += identity_rows(report.identity)
    if report.contents is not None:
        found += content_rows(report.contents)
    found += [("needs beside it", need) for need in report.needs]
    found += [("problem", problem) for problem in report.problems]
    return [(name, value) for name, value in found if value]


def identity_rows(identity: Identity) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if identity.family is not None:
        claim = identity.family
        found.append(("family", f"{claim.family} {claim.variant} (decided by {claim.decided_by})"))
    else:
        found.append(("family", identity.undecided))
    others = [c.family for c in identity.claims if c is not identity.family]
    found.append(("could also be", ", ".join(dict.fromkeys(others))))
    for known in identity.known.fits:
        installed = any(c.family == known.family for c in identity.claims)
        if not installed:
            where = f"; install {known.distribution}" if known.distribution else "; no plugin is known"
            found.append(("known as", f"{known.family} {known.variant}".strip() + where))
    found.append(("same keys as", ", ".join(identity.known.same_keys)))
    return found


def content_rows(contents: Contents) -> list[tuple[str, str]]:
    sizes = ", ".join(f"{name} {value}" for name, value in contents.sizes.items() if value is not None)
    dtypes = ", ".join(f"{d.dtype}: {d.tensors} tensors, {gigabytes(d.bytes)}" for d in contents.dtypes)
    formats = ", ".join(f.name for f in contents.formats)
    found = [
        ("size", f"{gigabytes(contents.bytes)} in {contents.files} file{'s' * (contents.files > 1)}"),
        ("parameters", f"{contents.parameters:,} in {contents.tensors} tensors"),
        ("stored as", dtypes),
        ("quantised", formats),
        ("names", contents.naming),
        ("prefix", contents.prefix),
        ("transformer", sizes),
    ]
    for what, keys in (("missing", contents.missing), ("unexpected", contents.unexpected)):
        if keys.count:
            more = ", …" if keys.count > len(keys.first) else ""
            found.append((what, f"{keys.count}: {', '.join(keys.first)}{more}"))
    return found


def gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e8 else f"{size / 1e6:.2f} MB"
