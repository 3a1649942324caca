"""`python -m wancore_server.catalog.probe PARENT SOCKET DISABLED WHAT MEMORY`; for the gateway.

Imports the plugins, tells what they offer (WHAT is `all`) or nothing (`rules`), and stays to say what their
rules think of requests: without a GPU, and with a limit on memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from wancore_proto.v1 import catalog_service_pb2

from wancore.plugins import PluginManager, PluginStatus
from wancore.plugins.inputs import InputSpec, InputType, OwnType
from wancore.plugins.manager import entry_points
from wancore_server.catalog.installed import record_hash
from wancore_server.catalog.loras import loras
from wancore_server.catalog.rules import Rules
from wancore_server.child import die_with_parent, inherited_socket
from wancore_server.errors import cut
from wancore_server.names import ID, id_of, unique
from wancore_server.wire import wire_pb2
from wancore_server.wire.framing import framed, receive

if TYPE_CHECKING:
    from wancore.plugins.family import Family
    from wancore.runtime.settings import Settings

Declaration = catalog_service_pb2.InputDeclaration
TYPES = {
    InputType.IMAGE: Declaration.TYPE_IMAGE,
    InputType.VIDEO: Declaration.TYPE_VIDEO,
    InputType.MASK: Declaration.TYPE_MASK,
    InputType.AUDIO: Declaration.TYPE_AUDIO,
    InputType.CAMERA_PATH: Declaration.TYPE_CAMERA_PATH,
    InputType.TRACKS: Declaration.TYPE_TRACKS,
    InputType.BOXES: Declaration.TYPE_BOXES,
}
STATES = {
    "loaded": catalog_service_pb2.Plugin.STATE_LOADED,
    "disabled": catalog_service_pb2.Plugin.STATE_DISABLED,
    "incompatible": catalog_service_pb2.Plugin.STATE_INCOMPATIBLE,
    "broken": catalog_service_pb2.Plugin.STATE_BROKEN,
}
ROLES = {
    "lead": catalog_service_pb2.Family.ROLE_LEAD,
    "attachment": catalog_service_pb2.Family.ROLE_ATTACHMENT,
}


def main() -> None:
    parent, descriptor, disabled, what, memory = sys.argv[1:6]
    die_with_parent(int(parent))
    confine(int(memory))
    connection = inherited_socket(int(descriptor))
    pid = os.getpid()

    def tell(**content: object) -> None:
        connection.sendall(framed(wire_pb2.ProbeReport(pid=pid, **content)))  # type: ignore[arg-type]

    from wancore.runtime.settings import load_settings

    settings = load_settings(device="cpu")
    chosen, refused = settings.plugins, (*settings.disabled_plugins, *filter(None, disabled.split(",")))
    for entry_point in entry_points():
        if (chosen is None or entry_point.name in chosen) and entry_point.name not in refused:
            tell(importing=entry_point.name)
            try:
                entry_point.load()
            except (Exception, SystemExit):  # the manager below reports it
                continue
            if os.getpid() != pid:
                os._exit(0)
    plugins = PluginManager(chosen, refused)
    importing = framed(wire_pb2.CheckReply(pid=pid, importing=True))
    rules = Rules(settings, plugins, lambda: connection.sendall(importing))
    tell(catalog=described(plugins, settings, rules) if what == "all" else wire_pb2.Catalog())
    if settings.models is not None or settings.model is not None:
        rules.engine.families  # noqa: B018  imports torch before the first question
    answer_checks(connection, rules)


def confine(memory: int) -> None:
    """`memory` bytes of data; files that are mapped, as weights are, do not count."""
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def answer_checks(connection: socket.socket, rules: Rules) -> None:
    """Until the gateway closes the connection."""
    pid = os.getpid()
    while (asked := receive(connection, wire_pb2.CheckRequest)) is not None:
        reply = rules.answer(json.loads(asked.request))
        if os.getpid() != pid:  # a plugin forked while it was asked
            os._exit(0)
        reply.number, reply.pid = asked.number, pid
        connection.sendall(framed(reply))


def described(plugins: PluginManager, settings: Settings, rules: Rules) -> wire_pb2.Catalog:
    from wancore.sampling.registry import all_solvers

    catalog = wire_pb2.Catalog()
    catalog.families.extend(families(plugins))
    catalog.solvers.extend(spec.name for spec in all_solvers(plugins))
    for _, spec in plugins.collect("wancore_methods"):
        schema = json.dumps(spec.parameters.model_json_schema())
        catalog.methods.add(name=spec.name, description=cut(spec.help, 500), parameter_schema=schema)
    catalog.models.extend(models(settings, plugins))
    found = loras(settings)
    catalog.loras_folder = found.loras_folder
    catalog.loras.extend(found.loras)
    catalog.without_rules.extend(rules.without)
    catalog.plugins.extend(plugin(status) for status in plugins.status)  # last: describing may break one
    return catalog


def families(plugins: PluginManager) -> Iterator[catalog_service_pb2.Family]:
    """By id; two plugins with one id are both refused, and both say so."""
    found: dict[str, list[tuple[str, Family]]] = {}
    for name, family in plugins.collect("wancore_families"):
        found.setdefault(family.id, []).append((name, family))
    for id, claimants in sorted(found.items()):
        problem = "" if ID.fullmatch(id) else f"the family id {id!r} is malformed"
        if len(claimants) > 1:
            problem = f"the family id {id!r} is claimed by {', '.join(name for name, _ in claimants)}"
        if problem:
            mark_broken(plugins, {name for name, _ in claimants}, problem)
            continue
        name, family = claimants[0]
        try:
            yield family_message(family, next(s for s in plugins.status if s.name == name))
        except Exception as error:
            mark_broken(plugins, {name}, f"the family {id!r} cannot be described: {type(error).__name__}")


def mark_broken(plugins: PluginManager, names: set[str], problem: str) -> None:
    plugins.status = [
        PluginStatus(s.name, s.distribution, s.version, "broken", problem) if s.name in names else s
        for s in plugins.status
    ]


def family_message(family: Family, status: PluginStatus) -> catalog_service_pb2.Family:
    schema = json.dumps(family.parameters.model_json_schema(), sort_keys=True)
    return catalog_service_pb2.Family(
        name=f"families/{family.id}",
        display_name=family.name,
        description=family.help,
        roles=[ROLES[role] for role in sorted(family.roles, reverse=True)],
        inputs=[declaration(spec) for spec in family.inputs if told(spec)],
        parameter_schema=schema,
        schema_hash=hashlib.sha256(schema.encode()).hexdigest(),
        plugin=f"plugins/{status.distribution}",
        plugin_version=status.version,
    )


def told(spec: InputSpec) -> bool:
    return spec.type in TYPES or isinstance(spec.type, OwnType)


def declaration(spec: InputSpec) -> catalog_service_pb2.InputDeclaration:
    return Declaration(
        role=spec.role,
        type=Declaration.TYPE_OTHER if isinstance(spec.type, OwnType) else TYPES[spec.type],
        description=spec.help,
        required=spec.required,
        many=spec.many,
        type_name=spec.type_name,
        live=spec.live,
    )


def plugin(status: PluginStatus) -> catalog_service_pb2.Plugin:
    lines = [line for line in status.detail.strip().splitlines() if line.strip()]
    return catalog_service_pb2.Plugin(
        name=f"plugins/{status.distribution}",
        entry_point=status.name,
        version=status.version,
        state=STATES[status.state],
        problem=cut(re.sub(r"(/[\w.\-]+)+/", "", lines[-1]), 500) if lines else "",
        record_hash=record_hash(status.distribution),
    )


def models(settings: Settings, plugins: PluginManager) -> Iterator[wire_pb2.ModelFile]:
    """What stands in the models folder, what comes with the engine and plugins, and the default model
    wherever it is."""
    from wancore.checkpoints.candidates import checkpoints_in
    from wancore.checkpoints.models_tree import MODEL_FOLDERS
    from wancore.embedded import embedded_models

    names: dict[str, str] = {}
    owners: dict[str, str] = {}
    root = settings.models.resolve() if settings.models is not None and settings.models.is_dir() else None
    if root is not None:
        for folder in MODEL_FOLDERS:
            for path in checkpoints_in(root / folder, deep=True):
                if path.resolve().is_relative_to(root):
                    relative = path.relative_to(root / folder)
                    names.setdefault(str(relative), str(path))
        for path in repositories(root):
            names.setdefault(path.name, str(path))
    embedded = embedded_models(plugins)
    for small in embedded:
        names.setdefault(small.name, str(small.folder))
        owners[str(small.folder)] = small.family
    default = settings.model or str(embedded[0].folder)
    if default not in names and default not in names.values():
        names[Path(default).name] = default
    taken: set[str] = set()
    for name, engine_name in names.items():
        id = unique(id_of(name) or "model", taken)
        model = catalog_service_pb2.Model(
            name=f"models/{id}",
            display_name=name,
            default_model=default in (name, engine_name),
            serving=True,
            family=leading_family(settings, plugins, engine_name),
        )
        owner = owners.get(engine_name, "")
        yield wire_pb2.ModelFile(model=model, engine_name=engine_name, embedded_for=owner)


def repositories(root: Path) -> Iterator[Path]:
    """Folders of a whole model each, beside the folders of single parts."""
    from wancore.checkpoints.layout import find_parts
    from wancore.checkpoints.parts import layout_data
    from wancore.errors import WancoreError

    parts = {name for names in layout_data()["folders"].values() for name in names}
    for path in sorted(root.iterdir()):
        if path.is_dir() and path.name not in parts and path.resolve().is_relative_to(root):
            try:
                find_parts(path).require("transformer")
            except WancoreError:
                continue
            yield path


def leading_family(settings: Settings, plugins: PluginManager, engine_name: str) -> str:
    """Resource name of the family that knows a model's files, or ''."""
    from wancore.engine.files import ModelFiles
    from wancore.engine.lead import collect_families, leader
    from wancore.request import Request

    files, request = ModelFiles(settings, plugins), Request(model=engine_name)
    try:
        family = leader(request, files.parts(request), collect_families(plugins), files.locate)
    except Exception:  # not usable as it is: a request for it will be told why
        return ""
    return f"families/{family.id}"


if __name__ == "__main__":
    main()
