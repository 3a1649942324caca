"""Running one request and writing its frames as they come."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wancore import __version__
from wancore.cli.progress import Display
from wancore.engine import Engine
from wancore.engine.defaults import with_defaults
from wancore.errors import InvalidInput
from wancore.events import Accepted, Frames, SoundTrack
from wancore.media import provenance
from wancore.media.metadata import read_metadata
from wancore.media.output import open_writer, output_kind
from wancore.media.sound import Sound
from wancore.media.writer import FrameWriter
from wancore.request import Request, parse_request
from wancore.runtime.settings import load_settings


def produce(
    given: Mapping[str, Any],
    settings: Mapping[str, Any],
    out: str,
    overwrite: bool,
    source: Path | None,
    quiet: bool,
) -> None:
    """Generates into `out`; when interrupted, what was made so far stays."""
    check_output(out, overwrite)
    fields = {**(repeated(source) if source is not None else {}), **given}
    engine = Engine(load_settings(**settings))
    request = with_defaults(parse_request(fields), engine.settings)
    writer: FrameWriter | None = None
    sound: Sound | None = None
    with Display(out, quiet) as display:
        try:
            for event in engine.generate(request):
                display.show(event)
                if isinstance(event, Accepted):
                    accepted = event
                    check_space(out, event)
                if isinstance(event, SoundTrack):
                    sound = Sound(event.samples, event.rate)
                if isinstance(event, Frames):
                    marked = engine.settings.provenance
                    writer = writer or open_for(out, request, accepted, overwrite, sound, marked)
                    writer.write(event.frames)
        finally:
            if writer is not None:
                writer.close()
                display.kept = writer.frames


def check_output(out: str, overwrite: bool) -> None:
    output_kind(out)
    path = Path(out)
    taken = out != "-" and (any(path.iterdir()) if path.is_dir() else path.exists())
    if taken and not overwrite:
        raise InvalidInput("out", out, "a name that is free, or --overwrite")
    if out != "-" and not path.absolute().parent.is_dir():
        raise InvalidInput("out", out, "a place in a folder that exists")


def check_space(out: str, accepted: Accepted) -> None:
    """Raises `InvalidInput` where the disk has less room than the frames may take."""
    if out == "-" or accepted.frames is None:
        return
    raw = accepted.frames * accepted.width * accepted.height * 3
    needed = raw // 4 if out.endswith(".mp4") else raw
    free = shutil.disk_usage(Path(out).absolute().parent).free
    if needed > free:
        raise InvalidInput(
            "out", out, f"a place with {needed / 1e9:.1f} GB of room; {free / 1e9:.1f} are free"
        )


def open_for(
    out: str, request: Request, accepted: Accepted, overwrite: bool, sound: Sound | None = None,
    marked: bool = True,
) -> FrameWriter:  # fmt: skip
    size = (accepted.width, accepted.height)
    told = description(request, accepted) if marked else None
    return open_writer(out, accepted.fps, size, told, overwrite=overwrite, sound=sound)


def description(request: Request, accepted: Accepted) -> dict[str, Any]:
    """What is written into the file: that a model made it, and how, so that it can be made again."""
    settled = {
        "seed": accepted.seed,
        "steps": accepted.steps,
        "solver": accepted.solver,
        "shift": accepted.shift,
        "guidance": list(accepted.guidance),
        "frames": accepted.frames,
        "fps": float(accepted.fps),
    }
    asked = request.model_dump(mode="json", exclude_defaults=True)
    if "sigmas" in asked:
        settled = {name: value for name, value in settled.items() if name not in ("steps", "shift")}
    return {
        "version": __version__,
        provenance.KEY: provenance.SOURCE_TYPE,
        "family": accepted.family,
        "variant": accepted.variant,
        "model": Path(accepted.model).name,
        "request": {**asked, **settled},
        "inputs_sha256": {role: sha256(file) for role, file in request.inputs.items()},
    }


def repeated(source: Path) -> dict[str, Any]:
    """The request that made `source`. Raises `InvalidInput` if it is not there, or an input changed."""
    made = read_metadata(source)
    request = made.get("request")
    if not isinstance(request, dict):
        raise InvalidInput("from", str(source), "a file that wancore wrote, with its request inside")
    for role, digest in made.get("inputs_sha256", {}).items():
        file = Path(request["inputs"][role])
        if not file.is_file() or sha256(file) != digest:
            raise InvalidInput(f"inputs.{role}", str(file), f"the file that {source} was made with")
    return request


def sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
