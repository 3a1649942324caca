"""What is installed: families, plugins, solvers, methods."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from wancore.errors import InvalidInput
from wancore.plugins import plugin_manager
from wancore.plugins.family import Family

AsJson = Annotated[bool, typer.Option("--json", help="machine-readable")]


def add_to(app: typer.Typer) -> None:
    app.command("families")(families)
    app.command("plugins")(plugins)
    app.command("solvers")(solvers)
    app.command("methods")(methods)


def families(
    family: Annotated[str | None, typer.Argument(help="one family, with every parameter")] = None,
    as_json: AsJson = False,
) -> None:
    """List the model families, with their inputs and parameters."""
    found: list[Family] = [f for _, f in plugin_manager().collect("wancore_families")]
    if family is not None:
        found = [f for f in found if f.id == family]
        if not found:
            raise InvalidInput("family", family, "an installed family; `wancore families` lists them")
    rows = [family_fields(f) for f in sorted(found, key=lambda f: f.id)]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        typer.echo(f"{row['id']}: {row['name']}, {row['help']} ({', '.join(row['roles'])})")
        for given in row["inputs"]:
            required = ", required" if given["required"] else ""
            typer.echo(f"  --input {given['usage']}=FILE  {given['type']}{required}: {given['help']}")
        for name, field in row["parameters"].get("properties", {}).items():
            text = field.get("description", "") + default_of(field)
            typer.echo(f"  --param {name}={value_of(field)}  {text}")


def family_fields(family: Family) -> dict[str, Any]:
    """One family's declaration as plain values; parameters as a JSON schema."""
    return {
        "id": family.id,
        "name": family.name,
        "help": family.help,
        "roles": sorted(family.roles),
        "inputs": [
            {
                "role": i.role,
                "usage": i.usage,
                "type": i.type_name,
                "help": i.help,
                "required": i.required,
                "many": i.many,
            }
            for i in family.inputs
        ],
        "parameters": family.parameters.model_json_schema(),
    }


def value_of(field: dict[str, Any]) -> str:
    """What a parameter takes, in short, from its JSON schema."""
    kinds = [field, *field.get("anyOf", [])]
    for kind in kinds:
        if "enum" in kind:
            return "|".join(map(str, kind["enum"]))
    types = {"integer": "N", "number": "N", "boolean": "true|false"}
    return next((types[kind["type"]] for kind in kinds if kind.get("type") in types), "…")


def default_of(field: dict[str, Any]) -> str:
    default = field.get("default")
    return "" if default is None else f" (default: {json.dumps(default)})"


def plugins(as_json: AsJson = False) -> None:
    """List the plugins: loaded, disabled, incompatible or broken (with the traceback)."""
    status = plugin_manager().status
    if as_json:
        typer.echo(json.dumps([vars(s) for s in status], indent=1))
        return
    for s in status:
        typer.echo(f"{s.name}  {s.state}  {s.distribution} {s.version}")
        if s.detail:
            typer.echo("    " + s.detail.strip().replace("\n", "\n    "))


def solvers(as_json: AsJson = False) -> None:
    """List the solvers."""
    from wancore.sampling.registry import all_solvers

    show([(s.name, s.help) for s in all_solvers(plugin_manager())], as_json)


def methods(as_json: AsJson = False) -> None:
    """List the sampling methods, with their parameters."""
    specs = sorted((spec for _, spec in plugin_manager().collect("wancore_methods")), key=lambda s: s.name)
    if as_json:
        fields = [
            {"name": s.name, "help": s.help, "parameters": s.parameters.model_json_schema()} for s in specs
        ]
        typer.echo(json.dumps(fields, indent=1))
        return
    for spec in specs:
        typer.echo(f"{spec.name}  {spec.help}")
        for name, field in spec.parameters.model_fields.items():
            default = "required" if field.is_required() else f"default {field.default}"
            typer.echo(f"    {name}: {field.description or ''} ({default})")


def show(rows: list[tuple[str, str]], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([{"name": name, "help": text} for name, text in rows], indent=1))
        return
    table = Table(box=None, show_header=False)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
