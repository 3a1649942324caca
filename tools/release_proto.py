"""Writes the descriptor set of the API as it stands: what later versions are held against.

python tools/release_proto.py        refuses where the API breaks the last released one
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from make_stubs import ROOT, builtin, googleapis, run

RELEASED = ROOT / "proto" / "released" / "v1.binpb"


def described(with_comments: bool = False, version: str = "v1") -> FileDescriptorSet:
    """The descriptor set of proto/wancore/VERSION, without what it imports."""
    protos = sorted((ROOT / "proto/wancore" / version).glob("*.proto"))
    include = [f"-I{ROOT / 'proto'}", f"-I{googleapis()}", f"-I{builtin()}"]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set.binpb"
        extra = ["--include_source_info"] if with_comments else []
        run([*include, *extra, f"--descriptor_set_out={out}", *map(str, protos)])
        return FileDescriptorSet.FromString(out.read_bytes())


def main() -> None:
    from proto_compatibility import breaks

    new = described()
    if RELEASED.exists():
        found = breaks(FileDescriptorSet.FromString(RELEASED.read_bytes()), new)
        if found:
            sys.exit("the API would break:\n" + "\n".join(found))
    RELEASED.write_bytes(new.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
