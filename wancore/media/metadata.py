"""The request that made a picture or video, kept in the file itself.

JSON in ASCII: a PNG's `tEXt` holds Latin-1 only, and escaped text survives every container. In PNG it
is the text `wancore`; in MP4 it is `{"wancore": …}` in the comment, the tag that other programs keep.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wancore.errors import InvalidInput

KEY = "wancore"
MP4_TAG = "comment"
ACCEPTED = "an MP4 or PNG file, or a folder of PNG files, that wancore wrote with metadata"
PNG_START = b"\x89PNG\r\n\x1a\n"


def png_text(metadata: Mapping[str, Any]) -> str:
    return encoded(metadata, metadata)


def mp4_comment(metadata: Mapping[str, Any]) -> str:
    return encoded({KEY: metadata}, metadata)


def encoded(document: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    """Raises `InvalidInput` where JSON cannot hold the metadata."""
    try:
        return json.dumps(document, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput("metadata", metadata, f"what JSON can hold ({error})") from None


def read_metadata(path: Path | str) -> dict[str, Any]:
    """What a writer of this package was given as metadata, from the file (or folder) it wrote.

    Raises `InvalidInput` naming the file if there is none.
    """
    path = Path(path)
    file = first_png(path) if path.is_dir() else path
    if not file.is_file():
        raise refused(path, "there is no such file")
    with file.open("rb") as opened:
        is_png = opened.read(len(PNG_START)) == PNG_START
    found = parsed(from_png(file) if is_png else from_mp4(file))
    if not isinstance(found, dict):
        raise refused(path, "this has none")
    return found


def first_png(folder: Path) -> Path:
    files = sorted(folder.glob("*.png"))
    if not files:
        raise refused(folder, "this folder holds no PNG file")
    return files[0]


def from_png(file: Path) -> str:
    """The text, or ''."""
    from PIL import Image

    try:
        with Image.open(file, formats=["PNG"]) as image:
            return str(getattr(image, "text", {}).get(KEY, ""))
    except (OSError, ValueError, SyntaxError) as error:
        raise refused(file, f"this file cannot be read ({error})") from error


def from_mp4(file: Path) -> Any:
    """The text, or ''."""
    import av

    try:
        with av.open(
            str(file.absolute()), options={"format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2"}
        ) as container:
            comment = container.metadata.get(MP4_TAG, "")
    except (av.FFmpegError, UnicodeError) as error:
        raise refused(file, f"this file cannot be read ({error})") from error
    document = parsed(comment)
    return json.dumps(document[KEY]) if isinstance(document, dict) and KEY in document else ""


def parsed(text: str) -> Any:
    """The JSON in `text`, or None: other programs write comments too."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def refused(path: Path, problem: str) -> InvalidInput:
    return InvalidInput("path", str(path), f"{ACCEPTED}; {problem}")
