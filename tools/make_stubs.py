"""Generates the protobuf and gRPC stubs that are checked in.

python tools/make_stubs.py           writes them
python tools/make_stubs.py --check   exits 1 where a checked-in file is not what would be written
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[1]
#: The protos name themselves wancore/v1/...; their Python lives where it cannot hide the engine's package.
MOVED = {"wancore.v1": "wancore_proto.v1", "wancore.v1alpha": "wancore_proto.v1alpha"}
VERSIONS = ("v1", "v1alpha")


def googleapis() -> Path:
    """The folder that google/rpc/status.proto is in."""
    from google.rpc import status_pb2

    return Path(status_pb2.__file__).parents[2]


def generate(out: Path) -> dict[Path, bytes]:
    """Every generated file, by its place in the tree."""
    public = sorted(p for v in VERSIONS for p in (ROOT / "proto/wancore" / v).glob("*.proto"))
    wire = ROOT / "server/wancore_server/wire"
    include = [f"-I{ROOT / 'proto'}", f"-I{googleapis()}", f"-I{builtin()}"]
    run([*include, *outputs(out / "public", grpc=True), *map(str, public)])
    run([*include, f"-I{wire}", *outputs(out / "wire", grpc=False), str(wire / "wire.proto")])
    result = {}
    for path in sorted(p for v in VERSIONS for p in (out / "public/wancore" / v).iterdir()):
        result[ROOT / "proto/wancore_proto" / path.parent.name / path.name] = moved(path.read_text()).encode()
    for path in sorted((out / "wire").iterdir()):
        result[wire / path.name] = moved(path.read_text()).encode()
    return result


def builtin() -> Path:
    return Path(str(files("grpc_tools"))) / "_proto"


def outputs(folder: Path, grpc: bool) -> list[str]:
    folder.mkdir(parents=True)
    kinds = ["python_out", "pyi_out", *(["grpc_python_out"] if grpc else [])]
    return [f"--{kind}={folder}" for kind in kinds]


def run(arguments: list[str]) -> None:
    if protoc.main(["protoc", *arguments]):
        raise SystemExit("protoc failed")


def moved(text: str) -> str:
    """Imports of generated modules, pointed to where they are."""
    for old, new in MOVED.items():
        text = re.sub(rf"^from {re.escape(old)} import", f"from {new} import", text, flags=re.MULTILINE)
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as folder:
        generated = generate(Path(folder))
    stale = [p for p, data in generated.items() if not p.exists() or p.read_bytes() != data]
    if check and stale:
        sys.exit("not what tools/make_stubs.py writes: " + ", ".join(str(p.relative_to(ROOT)) for p in stale))
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(generated[path])


if __name__ == "__main__":
    main()
