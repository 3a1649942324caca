"""`python -m wancore_server.catalog.loras PARENT SOCKET`: tells which adapters there are, and ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from wancore_proto.v1 import catalog_service_pb2

from wancore_server.child import die_with_parent, inherited_socket
from wancore_server.errors import cut
from wancore_server.wire import wire_pb2
from wancore_server.wire.framing import framed

if TYPE_CHECKING:
    from wancore.lora.describe import Describer
    from wancore.runtime.settings import Settings


def main() -> None:
    parent, descriptor = int(sys.argv[1]), int(sys.argv[2])
    die_with_parent(parent)
    connection = inherited_socket(descriptor)
    from wancore.runtime.settings import load_settings

    catalog = loras(load_settings())
    connection.sendall(framed(wire_pb2.ProbeReport(pid=os.getpid(), catalog=catalog)))


def loras(settings: Settings) -> wire_pb2.Catalog:
    """The files below `loras/` in the models folder, from headers alone; nothing else is filled in."""
    from wancore.lora.describe import Describer
    from wancore.lora.find import FOLDER

    if settings.models is None:
        return wire_pb2.Catalog()
    folder = settings.models.absolute() / FOLDER
    describer = Describer()
    files = (described(name, path, describer) for name, path in listed(folder))
    return wire_pb2.Catalog(loras_folder=str(folder), loras=[file for file in files if file is not None])


def listed(folder: Path) -> Iterator[tuple[str, Path]]:
    """LoRA files by their names below `folder`; those that messages cannot carry are no names of anything."""
    from wancore.lora.find import lora_files

    return ((name, path) for name, path in lora_files(folder) if str(path).isprintable())


def described(name: str, path: Path, describer: Describer) -> wire_pb2.LoraFile | None:
    """None for a file that has gone meanwhile."""
    from wancore.errors import CheckpointError

    lora = catalog_service_pb2.Lora(display_name=cut(name, 500))
    try:
        lora.size_bytes = path.stat().st_size
        lora.description = describer.describe(path)
    except CheckpointError as error:
        lora.problem = cut(error.problem, 500)
    except OSError:
        return None
    return wire_pb2.LoraFile(lora=lora, path=str(path))


if __name__ == "__main__":
    main()
